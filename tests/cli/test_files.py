"""simulate, info and compare: what needs no reconstruction."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import exitwave


def lines(outcome):
    """Labels and values of a printed table."""
    assert outcome.err == ""
    assert outcome.code == 0
    rows = (line.split("  ", maxsplit=1) for line in outcome.out.splitlines())
    return {label: value.strip() for label, value in rows}


# --- simulate -----------------------------------------------------------------------------------


def test_simulate_passes_every_option_on(main, tmp_path):
    outcome = main(
        "simulate", "out.h5", "--frame-shape", "24,20", "--frames", 12, "--counts-per-frame", 1e5,
        "--seed", 3, "--probe", "gaussian", "--probe-setting", "fwhm_m=2e-7", "--probe-modes", 2,
        "--object-modes", 2, "--scan", "raster", "--step-px", "2,3", "--jitter", 0.1,
        "--integer-positions", "--energy-ev", 6000, "--distance-m", 1.5,
        "--detector-pixel-m", "1e-4", "--amplitude-image", "moon", "--phase-image", "coins",
    )  # fmt: skip
    expected = exitwave.simulate(
        (24, 20), 12, counts_per_frame=1e5, seed=3, probe="gaussian",
        probe_settings={"fwhm_m": 2e-7}, probe_modes=2, object_modes=2, scan="raster",
        step_px=(2, 3), jitter=0.1, integer_positions=True, energy_ev=6000, distance_m=1.5,
        detector_pixel_m=1e-4, amplitude_image="moon", phase_image="coins",
    )  # fmt: skip

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("out.h5: 12 frames of 24 × 20, far field, object 2 × ")
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_array_equal(file["data"][()], expected.data)
        np.testing.assert_array_equal(file["truth/object"][()], expected.object)
        np.testing.assert_array_equal(file["truth/probe"][()], expected.probe)


def test_simulate_near_field_with_a_diverging_beam(main, tmp_path):
    outcome = main(
        "simulate", "near.h5", "--frame-shape", 32, "--frames", 6, "--regime", "near",
        "--distance-m", 0.5, "--focus-distance-m", 0.1, "--method", "fresnel", "--overlap", 0.9,
    )  # fmt: skip

    assert (outcome.code, outcome.err) == (0, "")
    with exitwave.load(tmp_path / "near.h5") as scan:
        assert scan.geometry.magnification == pytest.approx(6)


def test_simulate_overwrites_only_when_told(main, tmp_path):
    small = ("simulate", "out.h5", "--frame-shape", 24, "--frames", 4)
    assert main(*small).code == 0
    assert main(*small).code == 2

    assert main(*small, "--seed", 5, "--overwrite").code == 0


# --- info ---------------------------------------------------------------------------------------


def test_info_shows_what_was_understood(main, scan):
    shown = lines(main("info", scan))

    assert shown["layout"] == "exitwave"
    assert shown["frames"].startswith("30 of 32 x 28, uint")
    assert shown["regime"] == "far"
    assert shown["energy"].startswith("8 keV")


def test_info_shows_what_was_refined(main, tmp_path):
    scan = exitwave.simulate((32, 28), 20, regime="near", counts_per_frame=1e7, seed=1)
    distance = 1.01 * scan.propagation["distance_m"]
    engine = {"name": "ePIE", "iterations": 2, "distance_start": 1}
    params = {"engines": [engine], "propagation": scan.propagation | {"distance_m": distance}}
    result = exitwave.ptychography(scan.data, None, scan.probe, scan.positions_px, None, params)
    exitwave.save_result(tmp_path / "result.h5", result)

    shown = lines(main("info", "result.h5"))

    found = result.refined["distance_m"]
    assert shown["distance_m"] == f"{found.value:.6g} ± {found.uncertainty:.2g}"


def test_info_shows_slices_and_intensities(main, tmp_path):
    scan = exitwave.simulate((32, 28), 20, slices=3, counts_per_frame=1e5)
    chain = [
        {"name": "rPIE", "iterations": 2},
        {"name": "ML", "iterations": 1, "slices": 1},
        {"name": "LSQML", "iterations": 2, "intensity_start": 0},
    ]
    shown = []
    for engines in (chain[:1], chain):
        params = {"engines": engines, "propagation": scan.propagation}
        result = exitwave.ptychography(scan.data, None, scan.probe, scan.positions_px, None, params)
        exitwave.save_result(tmp_path / "result.h5", result, overwrite=True)
        shown.append(lines(main("info", "result.h5")))

    assert [rows["slices"] for rows in shown] == ["3", "1"]
    assert "intensity of the frames" not in shown[0]
    spread = result.intensities.std() / result.intensities.mean()
    assert shown[1]["intensity of the frames"] == f"refined, {spread:.2%} rms"


def test_info_takes_the_options_of_load(main, scan):
    shown = lines(
        main(
            "info",
            scan,
            "--crop",
            "24,20",
            "--bin",
            2,
            "--frames",
            ":10",
            "--energy-ev",
            4000,
            "--positions-sign",
            "-1,1",
            "--positions-swap",
        )
    )

    assert shown["frames"].startswith("10 of 12 x 10")
    assert shown["energy"].startswith("4 keV")


def test_info_reads_any_hdf5_by_the_names_of_its_datasets(main, scan, tmp_path):
    with h5py.File(scan) as source, h5py.File(tmp_path / "own.h5", "w") as file:
        file["a/counts"] = source["data"][()]
        file["a/motors"] = source["truth/positions_px"][()][:, ::-1].T

    outcome = main(
        "info", "own.h5", "--data", "a/counts", "--positions", "a/motors", "--positions-unit", "px",
        "--positions-transpose", "--positions-swap",
    )  # fmt: skip

    assert lines(outcome)["frames"].startswith("30 of 32 x 28")
    assert lines(outcome)["object shape"] == lines(main("info", scan))["object shape"]


# --- compare ------------------------------------------------------------------------------------


def test_compare_removes_factor_ramp_and_shift(main, scan, tmp_path):
    with h5py.File(scan) as file:
        truth = file["truth/object"][()]
    rows, columns = np.indices(truth.shape)
    moved = 2j * truth * np.exp(1j * (0.02 * rows - 0.01 * columns))
    np.savez(tmp_path / "moved.npz", wave=np.roll(moved, (2, -1), axis=(0, 1)))

    shown = lines(main("compare", "moved.npz::wave", scan))

    assert float(shown["relative error"]) < 1e-6
    assert shown["shift removed"] == "-2.000, 1.000 px"
    assert shown["factor removed"] == "0.5"
    assert shown["resolution, half-bit"].endswith(" nm or better: no crossing up to the pixel")


def test_compare_tells_different_objects_apart(main, scan, tmp_path):
    with h5py.File(scan) as file:
        shape = file["truth/object"].shape
    noise = np.random.default_rng(0).normal(size=(*shape, 2)) @ [1, 1j]
    np.savez(tmp_path / "noise.npz", wave=noise)

    shown = lines(main("compare", "noise.npz::wave", scan))

    assert float(shown["relative error"]) > 0.5
    assert "no crossing" not in shown["resolution, half-bit"]


def test_compare_finds_the_same_pixels_of_objects_of_different_size(main, scan, tmp_path):
    with h5py.File(scan) as file:
        truth, probe = file["truth/object"][()], file["truth/probe"][()]
        positions = file["truth/positions_px"][()]
        data = file["data"][()]
    grown = np.pad(truth, ((5, 3), (2, 6)))
    np.savez(
        tmp_path / "grown.npz",
        data=data,
        positions=positions + np.array([5, 2]),
        probe=probe,
        object=grown,
    )

    shown = lines(main("compare", "grown.npz", scan))

    assert float(shown["relative error"]) < 1e-6
    assert shown["compared"] == "well-illuminated pixels"


def test_compare_takes_the_product_of_slices(main, tmp_path):
    scan = exitwave.simulate((32, 28), 20, slices=3, counts_per_frame=1e5)
    scan.save(tmp_path / "truth.h5")
    params = {
        "engines": [{"name": "rPIE", "iterations": 1, "probe_start": None}],
        "propagation": scan.propagation,
    }
    result = exitwave.ptychography(
        scan.data, scan.object, scan.probe, scan.positions_px, None, params
    )
    exitwave.save_result(tmp_path / "result.h5", result)
    np.savez(tmp_path / "thin.npz", product=scan.object.prod(axis=0))
    shape = " × ".join(map(str, scan.object.shape[1:]))

    thick = lines(main("compare", "result.h5", "truth.h5"))
    thin = lines(main("compare", "thin.npz::product", "truth.h5"))

    assert thick["reference"] == f"truth.h5 ({shape}, product of 3 slices)"
    assert thick["first"] == f"result.h5 ({shape}, product of 3 slices)"
    assert float(thick["relative error"]) < 0.05
    assert thin["first"] == f"thin.npz::product ({shape})"
    assert float(thin["relative error"]) < 1e-6


def test_compare_finds_the_resolution_of_a_blurred_object(main, tmp_path):
    random = np.random.default_rng(1)
    sharp, noise = (random.normal(size=(80, 90, 2)) @ [1, 1j] for _ in range(2))
    v, u = np.meshgrid(np.fft.fftfreq(80), np.fft.fftfreq(90), indexing="ij")
    cut = np.hypot(v, u) < 0.25  # cycles per pixel: half a period is 2 pixels
    mixed = np.fft.ifft2(np.where(cut, np.fft.fft2(sharp), np.fft.fft2(noise)))
    np.savez(tmp_path / "two.npz", sharp=sharp, mixed=mixed)

    shown = lines(main("compare", "two.npz::mixed", "two.npz::sharp"))

    for threshold in ("half-bit", "one-bit"):
        assert float(shown[f"resolution, {threshold}"].removesuffix(" px")) == pytest.approx(
            2, abs=0.2
        )


def test_compare_takes_objects_with_modes(main, scan, tmp_path):
    with h5py.File(scan) as file:
        truth = file["truth/object"][()]
    np.savez(tmp_path / "modes.npz", wave=np.stack([truth, truth.conj()]))

    assert (
        float(lines(main("compare", "modes.npz::wave", "modes.npz::wave"))["relative error"]) < 1e-6
    )
    outcome = main("compare", "modes.npz::wave", scan)
    assert outcome.code == 2
    assert "but both must be the same" in outcome.err


def test_thick_and_imperfect_samples_are_simulated(main, tmp_path):
    outcome = main(
        "simulate", "thick.h5", "--frame-shape", 24, "--frames", 5, "--slices", 3,
        "--slice-distance-m", "1e-6", "--tilt-rad", "1e-3,0", "--imperfection", "blur_px=1,2",
        "--imperfection", "background-counts=0.5",
    )  # fmt: skip
    unknown = main("simulate", "b.h5", "--imperfection", "blur=2")

    assert outcome.code == 0
    with h5py.File(tmp_path / "thick.h5") as file:
        assert file["truth/object"].shape[0] == 3
        assert (file["truth/background"][()] == 0.5).all()
        assert (file["truth/tilt_rad"][()] == [1e-3, 0]).all()
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)
    assert "perhaps 'blur_px'" in unknown.err
