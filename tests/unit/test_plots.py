"""Pictures: what they show, read back from the figure."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from exitwave import metrics, plots
from exitwave.errors import InvalidArgument
from exitwave.result import Result
from exitwave.simulator import simulate


@pytest.fixture(scope="module")
def scan():
    return simulate((24, 32), 25, probe_modes=2, probe_mode_powers=[3, 1], scan="raster")


def result_of(scan, **changes):
    fields = {
        "object": scan.object,
        "probe": scan.probe,
        "positions": scan.positions_px,
        "errors": [np.array([0.5, 0.1]), np.array([0.05, 0.02, 0.01])],
        "error": 0.009,
        "engines": ["DM", "ML"],
        "params": {},
        "seconds": 1.0,
        "pixel_size_m": scan.pixel_size_m,
        "source": "folder/scan.h5",
    }
    return Result(**{**fields, **changes})


def texts(figure):
    return [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_figure_of_a_result_names_what_it_shows(scan, tmp_path):
    figure = plots.plot_result(result_of(scan))

    found = texts(figure)
    for wanted in ("object amplitude", "object phase", "mode 1: 75 %", "mode 2: 25 %", "DM", "ML"):
        assert wanted in found
    assert any("scan.h5" in t and "25 frames" in t and "0.009" in t for t in found)
    plots.save_figure(figure, tmp_path / "result.png", dpi=60)
    picture = imread(tmp_path / "result.png")
    assert picture[..., :3].std() > 0.1


@pytest.mark.parametrize(
    "changes",
    [
        {"pixel_size_m": None, "source": None},
        {"errors": [], "engines": []},
        {"errors": [np.array([0.0])], "engines": ["ePIE"], "error": 0.0},
        {"errors": [np.array([]), np.array([0.3])], "engines": ["AP", "ML"]},
    ],
)
def test_results_with_little_in_them_can_be_drawn(scan, changes, tmp_path):
    figure = plots.plot_result(result_of(scan, **changes))

    plots.save_figure(figure, tmp_path / "little.png", dpi=40)


def test_many_modes_and_object_modes_can_be_drawn(scan, tmp_path):
    probe = np.concatenate([scan.probe] * 4)
    obj = np.stack([scan.object, 2 * scan.object])

    figure = plots.plot_result(result_of(scan, probe=probe, object=obj))

    plots.save_figure(figure, tmp_path / "modes.pdf")
    assert "6 strongest of 8 modes" in texts(figure)


def test_curves_of_the_engines_follow_each_other():
    axes = plots.new_figure().subplots()
    plots.plot_errors(axes, [np.array([0.5, 0.1]), np.array([0.05, 0.02])], ["DM", "ML"])

    curves = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
    named = {line.get_label(): line for line in curves}
    assert axes.get_yscale() == "log"
    assert named["DM"].get_xdata().tolist() == [1, 2]
    assert named["ML"].get_xdata().tolist() == [3, 4]
    assert named["ML"].get_ydata().tolist() == [0.05, 0.02]


def test_positions_are_drawn_at_the_centres_of_the_frames(scan):
    axes = plots.new_figure().subplots()
    plots.plot_scan(axes, scan.positions_px, scan.probe, scan.object.shape)

    drawn = axes.collections[0].get_offsets()
    steps = np.diff(drawn, axis=0)[:, ::-1]
    np.testing.assert_allclose(steps, np.diff(scan.positions_px, axis=0), atol=1e-9)
    light = axes.images[0].get_array()
    inside = light[tuple(np.round(drawn[:, ::-1]).astype(int).T)]
    assert inside.min() > 0.15


def test_phase_is_shown_without_ramp_and_median():
    y, x = np.mgrid[:60, :80]
    truth = 0.3 * np.sin(x / 5.0) * np.sin(y / 6.0)
    image = np.exp(1j * (truth + 0.2 * y - 0.35 * x + 1.7))

    phase = np.angle(plots.flattened(image))

    assert np.median(phase) == pytest.approx(0, abs=1e-6)
    difference = phase - truth
    assert np.ptp(difference) < 0.1


def test_ramp_is_taken_from_the_region_only():
    y, x = np.mgrid[:60, :80]
    region = (y > 10) & (y < 50) & (x > 10) & (x < 50)
    image = np.where(region, np.exp(0.3j * x), np.exp(-0.5j * y))

    phase = np.angle(plots.flattened(image, region))

    assert np.abs(phase[region]).max() < 0.02


def test_phase_panel_is_cyclic_for_strong_and_narrow_for_weak_objects():
    random = np.random.default_rng(0)
    for strength, limit in ((0.1, 0.5), (2.0, np.pi)):
        axes = plots.new_figure().subplots()
        plots.plot_phase(axes, np.exp(1j * strength * random.standard_normal((30, 40))))
        low, high = axes.images[0].get_clim()
        assert -low == high
        assert high == pytest.approx(limit, rel=0.6) if strength < 1 else high == limit
        ends = axes.images[0].get_cmap()([0.0, 1.0])
        assert np.abs(ends[0] - ends[1]).max() < 0.05


def test_pictures_are_cropped_to_the_scanned_region(scan):
    region = metrics.scan_region(scan.positions_px, (24, 32), scan.object.shape, scan.probe)
    axes = plots.new_figure().subplots()
    plots.plot_amplitude(axes, scan.object, region)

    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    shown = axes.images[0].get_array()
    assert shown.shape == (np.ptp(rows) + 1, np.ptp(columns) + 1)
    assert np.ma.getmaskarray(np.ma.masked_invalid(shown)).any() == (not region.all())


def test_pixels_keep_their_shape(scan):
    axes = plots.new_figure().subplots()
    plots.plot_amplitude(axes, scan.object, None, (2e-8, 1e-8))

    assert axes.get_aspect() == 2.0


@pytest.mark.parametrize(
    ("width", "pixel", "text"),
    [
        (100, None, "20 px"),
        (100, 1e-8, "200 nm"),
        (1000, 1e-8, "2 µm"),
        (400, (5e-9, 1e-8), "1 µm"),
        (100, 5e-11, "1 nm"),
        (3, 1e-12, "0.5 pm"),
    ],
)
def test_scale_bar_has_a_round_length_with_its_unit(width, pixel, text):
    axes = plots.new_figure().subplots()

    plots.scale_bar(axes, (50, width), pixel)

    assert axes.texts[0].get_text() == text
    number, unit = text.split()
    metres = float(number) * {"px": 1, "pm": 1e-12, "nm": 1e-9, "µm": 1e-6}[unit]
    column = 1 if pixel is None else np.atleast_1d(pixel)[-1]
    assert axes.patches[-1].get_width() == pytest.approx(metres / column / width)


def test_colours_show_phase_as_hue_and_amplitude_as_brightness():
    image = np.array([[1.0, -1.0, 0.0], [0.5, 1j, np.exp(2j * np.pi / 3)]])

    rgb = plots.complex_to_rgb(image)

    assert rgb.shape == (2, 3, 3)
    assert rgb[0, 0].argmax() == 0
    assert rgb[0, 1].argmin() == 0
    assert rgb[1, 2].argmax() == 1
    np.testing.assert_array_equal(rgb[0, 2], 0)
    np.testing.assert_allclose(rgb[1, 0], rgb[0, 0] / 2)
    np.testing.assert_allclose(plots.complex_to_rgb(image, 2.0)[0, 0], rgb[0, 0] / 2)
    assert not plots.complex_to_rgb(np.zeros((2, 2))).any()


def test_ring_correlation_shows_its_resolution():
    random = np.random.default_rng(0)
    one, other = (random.standard_normal((64, 64)) + 0j for _ in range(2))
    axes = plots.new_figure().subplots()

    plots.plot_frc(axes, metrics.frc(one, other, align_images=False), unit="nm")

    assert "nm" in axes.get_title()
    assert {"correlation", "half bit", "one bit"} == {
        t.get_text() for t in axes.get_legend().get_texts()
    }


def test_no_window_system_or_global_state_is_needed():
    code = (
        "import sys; from exitwave import plots; plots.new_figure();"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.save_figure(plots.new_figure(), "a.xyz"), "must end in one of"),
        (lambda: plots.save_figure(plots.new_figure(), "a.png", dpi=0), "dpi was 0"),
        (lambda: plots.complex_to_rgb(np.ones(3)), r"image had shape \(3,\)"),
        (
            lambda: plots.plot_errors(plots.new_figure().subplots(), [np.ones(3)], []),
            "give one each",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InvalidArgument, match=message):
        call()
