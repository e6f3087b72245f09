"""NumPy oracle of the package in double precision: obvious on purpose, slow, and right.

Every function states its formula; the compiled core is compared with it function by function.
Conventions: frames (N, Y, X) with the zero frequency at (Y // 2, X // 2), mask True = valid,
positions (N, 2) in pixels as (row, column) of the probe window's top-left corner, probe (M, Y, X),
object (K, A, B), waves of one frame (M, K, Y, X). Nothing is changed in place.

Thick objects (K, S, A, B) are in `reference.multislice`, `reference.thick_engines` and
`reference.thick_lsqml`, positions and other unknowns in
`reference.refinement`, least-squares maximum likelihood in `reference.lsqml`.
"""

from reference.constraints import (
    clip_amplitude,
    disc,
    fourier_support,
    hold_power,
    probe_power,
    reached,
    real_support,
)
from reference.detector import (
    fourier_error,
    fourier_terms,
    loss,
    loss_curvature,
    loss_factor,
    modulus_factor,
    point_image,
)
from reference.gradient import Optimiser, gradient_iteration
from reference.known import Known, known_of
from reference.ml import (
    Memory,
    gradients,
    inner,
    ml_iteration,
    precondition,
    smoothness_gradients,
    smoothness_loss,
    smoothness_terms,
    step_length,
    step_terms,
    total_loss,
    under_windows,
)
from reference.model import (
    FarField,
    NearField,
    Scan,
    Sums,
    adjoint,
    corner_and_fraction,
    exit_waves,
    forward,
    fresnel_scaling,
    linear_forward,
    residual_pass,
    shift,
    shifted_probe,
    simulate_counts,
    window,
)
from reference.pie import Momentum, pie_group, pie_iteration
from reference.positions import moved_positions, position_sums
from reference.prior import Prior, flattened, one_material, positive, smoothed_probe
from reference.projections import (
    detector_update,
    object_update,
    probe_update,
    projection_constants,
    projection_iteration,
    start_exit_waves,
)
from reference.quasi_newton import Lbfgs

__all__ = [
    "FarField",
    "Known",
    "Lbfgs",
    "Memory",
    "Momentum",
    "NearField",
    "Optimiser",
    "Prior",
    "Scan",
    "Sums",
    "adjoint",
    "clip_amplitude",
    "corner_and_fraction",
    "detector_update",
    "disc",
    "exit_waves",
    "flattened",
    "forward",
    "fourier_error",
    "fourier_support",
    "fourier_terms",
    "fresnel_scaling",
    "gradient_iteration",
    "gradients",
    "hold_power",
    "inner",
    "known_of",
    "linear_forward",
    "loss",
    "loss_curvature",
    "loss_factor",
    "ml_iteration",
    "modulus_factor",
    "moved_positions",
    "object_update",
    "one_material",
    "pie_group",
    "pie_iteration",
    "point_image",
    "position_sums",
    "positive",
    "precondition",
    "probe_power",
    "probe_update",
    "projection_constants",
    "projection_iteration",
    "reached",
    "real_support",
    "residual_pass",
    "shift",
    "shifted_probe",
    "simulate_counts",
    "smoothed_probe",
    "smoothness_gradients",
    "smoothness_loss",
    "smoothness_terms",
    "start_exit_waves",
    "step_length",
    "step_terms",
    "total_loss",
    "under_windows",
    "window",
]
