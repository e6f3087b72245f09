"""Parameters of a reconstruction: one class per engine, per regime, and for the whole call.

The value after each ``=`` is the default and stands nowhere else; documentation, results and
the command line take it from here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from exitwave.parameters import call_fields as call
from exitwave.parameters import detector_fields as detector
from exitwave.parameters import engine_fields as engine
from exitwave.parameters import geometry_fields as geometry
from exitwave.parameters import gradient_fields as gradient
from exitwave.parameters import object_fields as known
from exitwave.parameters.base import Model


def default_chain() -> list[dict[str, Any]]:
    """Engines that run where none are named."""
    return [{"name": "rPIE", "iterations": 60}, {"name": "ML", "iterations": 140}]


class EngineParameters(Model):
    """What every engine takes."""

    name: str
    iterations: engine.Iterations = 100
    probe_start: engine.ProbeStart = 0
    probe_every: engine.ProbeEvery = 1
    probe_modes: engine.ProbeModes = None
    object_modes: engine.ObjectModes = None
    object_inertia: engine.ObjectInertia = 0.0
    probe_inertia: engine.ProbeInertia = 0.0
    probe_support: engine.ProbeSupport = None
    probe_fourier_support: engine.ProbeFourierSupport = None
    probe_power: engine.ProbePower = "held"
    object_clip: engine.ObjectClip = None
    object_positivity: known.ObjectPositivity = None
    object_kappa: known.ObjectKappa = None
    kappa_start: known.KappaStart = None
    kappa_stop: known.KappaStop = None
    object_flat: known.ObjectFlat = None
    object_blur_px: known.ObjectBlurPx = 0.0
    object_tv: known.ObjectTv = 0.0
    smoothness: known.Smoothness = 0.0
    object_l1: known.ObjectL1 = 0.0
    object_reweighted_l1: known.ObjectReweightedL1 = 0.0
    object_l2: known.ObjectL2 = 0.0
    object_prior_of: known.ObjectPriorOf = "object"
    probe_smoothness: known.ProbeSmoothness = 0.0
    constraint_every: known.ConstraintEvery = 1
    probe_centring: engine.ProbeCentring = None
    position_start: engine.PositionStart = None
    position_stop: engine.PositionStop = None
    position_every: engine.PositionEvery = 1
    position_step: engine.PositionStep = 1.0
    position_max_step_px: engine.PositionMaxStepPx = None
    position_search_px: engine.PositionSearchPx = None
    position_limit_px: engine.PositionLimitPx = 10.0
    position_affine: engine.PositionAffine = 0.0
    map_start: geometry.MapStart = None
    map_stop: geometry.MapStop = None
    map_every: geometry.MapEvery = 5
    map_step: geometry.MapStep = 1.0
    distance_start: geometry.DistanceStart = None
    distance_stop: geometry.DistanceStop = None
    distance_every: geometry.DistanceEvery = 5
    distance_step: geometry.DistanceStep = 1.0
    defocus_start: geometry.DefocusStart = None
    defocus_stop: geometry.DefocusStop = None
    defocus_every: geometry.DefocusEvery = 5
    defocus_step: geometry.DefocusStep = 1.0

    @property
    def eigen_probes(self) -> int:
        """By which the probes of frames differ; 0: they do not."""
        return 0

    def to_dict(self) -> dict[str, Any]:
        """Every value, defaults included."""
        return {key: getattr(self, key) for key in type(self).model_fields}


class ProjectionParameters(EngineParameters):
    """Engines that project all exit waves at once."""

    probe_start: engine.ProbeStart = 2
    object_inertia: engine.ObjectInertia = 1e-3
    probe_inertia: engine.ProbeInertia = 1e-3
    power_bound: engine.PowerBound = None


class AP(ProjectionParameters):
    """Alternating projections."""

    name: Literal["AP"] = "AP"


class DM(ProjectionParameters):
    """Difference map."""

    name: Literal["DM"] = "DM"
    beta: engine.Beta = 1.0
    exit_wave_storage: engine.ExitWaveStorage = "single"
    # Its waves overshoot, and so would positions that follow them all the way.
    position_step: engine.PositionStep = 0.3
    # Without a bound the difference map never comes to rest on noisy data, and may blow up late.
    power_bound: engine.PowerBound = "poisson"


class RAAR(ProjectionParameters):
    """Relaxed averaged alternating reflections."""

    name: Literal["RAAR"] = "RAAR"
    beta: engine.Beta = 0.9
    exit_wave_storage: engine.ExitWaveStorage = "single"


class SlicedParameters(EngineParameters):
    """Engines that work with the slices of a thick object."""

    slices: engine.Slices = None
    slice_smoothness: engine.SliceSmoothness = 0.0
    slice_distance_start: geometry.SliceDistanceStart = None
    slice_distance_stop: geometry.SliceDistanceStop = None
    slice_distance_every: geometry.SliceDistanceEvery = 5
    slice_distance_step: geometry.SliceDistanceStep = 1.0


class PieParameters(SlicedParameters):
    """Engines that update object and probe group by group."""

    group_size: engine.GroupSize = None
    object_step: engine.ObjectStep = 1.0
    probe_step: engine.ProbeStep = 1.0


class EPIE(PieParameters):
    """Extended ptychographic iterative engine."""

    name: Literal["ePIE"] = "ePIE"


class RPIE(PieParameters):
    """Regularised ptychographic iterative engine."""

    name: Literal["rPIE"] = "rPIE"
    object_alpha: engine.ObjectAlpha = 0.1
    probe_alpha: engine.ProbeAlpha = 0.1


class MPIE(RPIE):
    """Momentum-accelerated ptychographic iterative engine."""

    name: Literal["mPIE"] = "mPIE"  # type: ignore[assignment]
    momentum: engine.Momentum = 0.5
    momentum_period: engine.MomentumPeriod = None


class ML(SlicedParameters):
    """Maximum likelihood by preconditioned conjugate gradients, or L-BFGS."""

    name: Literal["ML"] = "ML"
    object_inertia: engine.ObjectInertia = 0.1
    probe_inertia: engine.ProbeInertia = 0.1
    noise: engine.Noise = "poisson"
    probe_relaxation_start: engine.ProbeRelaxationStart = None
    probe_relaxation_stop: engine.ProbeRelaxationStop = None
    probe_relaxation_modes: engine.ProbeRelaxationModes = 6
    point_spread_px: detector.PointSpreadPx = None
    background_start: detector.BackgroundStart = None
    background_stop: detector.BackgroundStop = None
    background_smooth_px: detector.BackgroundSmoothPx = 0.0
    direction: engine.Direction = "conjugate"
    history: engine.History = 5

    @property
    def eigen_probes(self) -> int:
        return 0 if self.probe_relaxation_start is None else self.probe_relaxation_modes


class Gradient(SlicedParameters):
    """Descent along the gradient of a loss, group by group, with an optimiser for each unknown."""

    name: Literal["gradient"] = "gradient"
    object_inertia: engine.ObjectInertia = 0.1
    probe_inertia: engine.ProbeInertia = 0.1
    group_size: engine.GroupSize = None
    noise: engine.Noise = "amplitude"
    point_spread_px: detector.PointSpreadPx = None
    background_start: detector.BackgroundStart = None
    background_stop: detector.BackgroundStop = None
    background_smooth_px: detector.BackgroundSmoothPx = 0.0
    object_optimiser: gradient.ObjectOptimiser = "adam"
    probe_optimiser: gradient.ProbeOptimiser = "adam"
    object_rate: gradient.ObjectRate = None
    probe_rate: gradient.ProbeRate = None
    object_schedule: gradient.ObjectSchedule = "cosine"
    probe_schedule: gradient.ProbeSchedule = "cosine"
    position_schedule: gradient.PositionSchedule = "constant"
    object_start: gradient.ObjectStart = 0
    object_stop: gradient.ObjectStop = None
    probe_stop: gradient.ProbeStop = None
    tilt_start: geometry.TiltStart = None
    tilt_stop: geometry.TiltStop = None
    tilt_every: geometry.TiltEvery = 5
    tilt_step: geometry.TiltStep = 1.0
    step_memory: gradient.StepMemory = 0.9
    square_memory: gradient.SquareMemory = 0.99


class LSQML(SlicedParameters):
    """Least-squares maximum likelihood."""

    name: Literal["LSQML"] = "LSQML"
    group_size: engine.GroupSize = None
    object_inertia: engine.ObjectInertia = 0.1
    probe_inertia: engine.ProbeInertia = 0.1
    object_step: engine.ObjectStep = 0.7
    probe_step: engine.ProbeStep = 0.7
    noise: engine.Noise = "amplitude"
    point_spread_px: detector.PointSpreadPx = None
    momentum: engine.Momentum = 0.7
    intensity_start: engine.IntensityStart = None
    intensity_stop: engine.IntensityStop = None


_MODELS = (AP, DM, RAAR, EPIE, RPIE, MPIE, ML, LSQML, Gradient)
Engine = Annotated[
    AP | DM | RAAR | EPIE | RPIE | MPIE | ML | LSQML | Gradient, Field(discriminator="name")
]
ENGINES: dict[str, type[EngineParameters]] = {
    model.model_fields["name"].default: model for model in _MODELS
}


class FarField(Model):
    """Detector in the far field: one Fourier transform; only a thick object and a refined
    defocus need lengths."""

    regime: Literal["far"] = "far"
    wavelength_m: call.WavelengthOfSlicesM = None
    pixel_size_m: call.PixelSizeOfSlicesM = None
    slice_distances_m: call.SliceDistancesM = None
    beam_tilt_rad: call.BeamTiltRad = (0.0, 0.0)


class NearField(Model):
    """Detector in the near field."""

    regime: Literal["near"] = "near"
    wavelength_m: call.WavelengthM
    distance_m: call.DistanceM
    pixel_size_m: call.PixelSizeM
    focus_distance_m: call.FocusDistanceM = None
    method: call.Method = "angular_spectrum"
    slice_distances_m: call.SliceDistancesM = None
    beam_tilt_rad: call.BeamTiltRad = (0.0, 0.0)


Propagation = Annotated[FarField | NearField, Field(discriminator="regime")]
REGIMES: dict[str, type[Model]] = {"far": FarField, "near": NearField}


class Parameters(Model):
    """Everything that a reconstruction can be told; made by :func:`validate_params`."""

    engines: list[Engine] = Field(min_length=1, strict=True)
    propagation: Propagation = FarField()
    background: detector.Background = None
    saturation: detector.Saturation = None
    device: call.Device = "auto"
    parts: call.Parts = None
    batch: call.Batch = None
    deterministic: call.Deterministic = False
    output: call.Output = "host"
    memory_limit: call.MemoryLimit = "auto"
    scratch_folder: call.ScratchFolder = None
    seed: call.Seed = 0
    scale_start: call.ScaleStart = True
    orthogonalise: call.Orthogonalise = True
    progress: call.Progress = None
    comm: call.Comm = None
    gather: call.Gather = True
    callback: call.Callback = None
    callback_every: call.CallbackEvery = 1
    checkpoint: call.Checkpoint = None
    checkpoint_every: call.CheckpointEvery = None
    checkpoint_minutes: call.CheckpointMinutes = None
    time_limit: call.TimeLimit = None

    def to_dict(self) -> dict[str, Any]:
        """Every value used, defaults included, as a dict that starts the same run again.

        Callback and communicator are left out: they are no values that a file can hold. Arrays
        given as supports stay arrays.
        """
        keys = [key for key in type(self).model_fields if key not in ("callback", "comm")]
        values = {key: getattr(self, key) for key in keys}
        values["engines"] = [entry.to_dict() for entry in self.engines]
        values["propagation"] = self.propagation.model_dump()
        return values
