"""``exitwave compare``: how far two objects differ, free of the gauge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exitwave.cli.command import Command
from exitwave.cli.show import print_rows

if TYPE_CHECKING:
    from exitwave.cli.objects import Array, ReconstructedObject


@click.command(cls=Command, example="exitwave compare demo.h5 simulated.h5")
@click.argument("first")
@click.argument("second")
def compare(first: str, second: str) -> None:
    """Compare two objects, free of the gauge.

    FIRST is measured against SECOND. Each is a result, a simulation (its truth), any file with an
    object, or FILE::DATASET. Factor, phase ramp and shift, which a reconstruction cannot know, are
    removed before. Resolution is the half period at which the Fourier ring correlation falls below
    the threshold for two halves of the data. Of a thick object the product of its slices is taken.
    """
    from exitwave.cli.objects import read_object
    from exitwave.metrics import align

    one, reference = read_object(first), read_object(second)
    region = reference.scan_region()
    if region is None and one.object.shape[-2:] == reference.object.shape[-2:]:
        region = one.scan_region()
    fit = align(one.on_grid_of(reference), reference.object, region)
    rows = [
        ("first", _shape(first, one)),
        ("reference", _shape(second, reference)),
        ("compared", "middle three quarters" if region is None else "well-illuminated pixels"),
        ("relative error", f"{fit.error:.4g}"),
        ("shift removed", "{:.3f}, {:.3f} px".format(*fit.shift_px)),
        ("ramp removed", "{:.3g}, {:.3g} rad/px".format(*fit.ramp_rad_per_px)),
        ("factor removed", f"{abs(fit.factor):.4g}"),
        *_resolution_rows(fit.image, reference, region),
    ]
    if not fit.converged:
        rows.append(("note", "the objects are too different for a unique alignment"))
    print_rows(rows)


def _shape(name: str, found: ReconstructedObject) -> str:
    of = f", product of {found.slices} slices" if found.slices > 1 else ""
    return f"{name} ({' × '.join(map(str, found.object.shape))}{of})"


def _resolution_rows(
    aligned: Array, reference: ReconstructedObject, region: Array | None
) -> list[tuple[str, str]]:
    """Fourier ring correlation: where it crosses the thresholds; of the first object mode."""
    from exitwave.errors import InvalidArgument
    from exitwave.io.describe import length
    from exitwave.metrics import frc

    size = (1.0, 1.0) if reference.pixel_size_m is None else reference.pixel_size_m
    first, second = (
        array if array.ndim == 2 else array[0] for array in (aligned, reference.object)
    )
    try:
        rings = frc(first, second, region, pixel_size=size, align_images=False)
    except InvalidArgument as error:
        return [("resolution", f"unknown: {error}")]
    rows = []
    for threshold, name in (("half_bit", "half-bit"), ("one_bit", "one-bit")):
        found = rings.resolution(threshold)
        shown = max(size) if found is None else found
        text = f"{shown:.4g} px" if reference.pixel_size_m is None else length(shown)
        if found is None:
            text += " or better: no crossing up to the pixel"
        rows.append((f"resolution, {name}", text))
    return rows
