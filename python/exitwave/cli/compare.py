"""``exitwave compare``: how far two objects differ, free of the gauge."""

from __future__ import annotations

import click

from exitwave.cli.command import Command
from exitwave.cli.objects import read_object
from exitwave.cli.show import print_rows


@click.command(
    cls=Command,
    epilog="Example: exitwave compare demo.h5 simulated.h5",
)
@click.argument("first")
@click.argument("second")
def compare(first: str, second: str) -> None:
    """Compare two objects, free of the gauge.

    FIRST is measured against SECOND. Each is a result, a simulation (its truth), any file with an
    object, or FILE::DATASET. Factor, phase ramp and shift, which a reconstruction cannot know, are
    removed before.
    """
    one, reference = read_object(first), read_object(second)
    from exitwave.metrics import align

    region = reference.scan_region()
    fit = align(one.on_grid_of(reference), reference.object, region)
    rows = [
        ("first", _shape(first, one.object.shape)),
        ("reference", _shape(second, reference.object.shape)),
        ("compared", "well-illuminated pixels" if region is not None else "middle three quarters"),
        ("relative error", f"{fit.error:.4g}"),
        ("shift removed", "{:.3f}, {:.3f} px".format(*fit.shift_px)),
        ("ramp removed", "{:.3g}, {:.3g} rad/px".format(*fit.ramp_rad_per_px)),
        ("factor removed", f"{abs(fit.factor):.4g}"),
    ]
    if not fit.converged:
        rows.append(("note", "the objects are too different for a unique alignment"))
    print_rows(rows)


def _shape(name: str, shape: tuple[int, ...]) -> str:
    return f"{name} ({' × '.join(map(str, shape))})"
