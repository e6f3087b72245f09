"""Start values: positions in pixels of an object that holds them, object, probe, and new modes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exitwave.device_arrays import field_on_gpu, on_gpu
from exitwave.errors import InvalidArgument
from exitwave.slices import resampled_images

if TYPE_CHECKING:
    from exitwave.parameters import EngineParameters

Complex64 = npt.NDArray[np.complex64]
Float64 = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]  # first row and column, and those after the last

# A mode that is split off starts with this fraction of the first mode's power.
NEW_MODE_POWER = 0.02


def corners_and_fractions(
    positions: Float64,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Nearest whole pixel of each position, and the rest, in [-1/2, 1/2)."""
    corner = np.floor(positions + 0.5)
    return corner.astype(np.int32), (positions - corner).astype(np.float32)


def checked_positions(pos: Any, frames: int) -> Float64:
    """(N, 2) finite float64 copy."""
    array = _as_array("pos", pos)
    if array.dtype.kind not in "fiu":
        raise InvalidArgument(f"pos has type {array.dtype}, but must be float64, in pixels.")
    array = np.array(array, dtype=np.float64)
    if array.shape != (frames, 2):
        raise InvalidArgument(
            f"pos has shape {array.shape}, but must be ({frames}, 2): row and column of each frame."
        )
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise InvalidArgument(f"pos of frame {frame} is {array[frame]}, but must be finite.")
    # An object of that size would not fit any memory; the unit is likely metres or nanometres.
    if np.ptp(array, axis=0).max() > 1e6:
        raise InvalidArgument(
            f"pos spans {np.ptp(array, axis=0).max():.3g} pixels, but at most 1e6 can be; give it "
            "in object pixels."
        )
    return array


def placed(
    obj: Any, positions: Float64, frame_shape: tuple[int, int], margin_px: int = 0
) -> tuple[tuple[int, int], Float64]:
    """Shape of the object, and the positions in its pixels.

    Without an object it just holds all windows and ``margin_px`` around them; with one, a window
    that reaches outside is refused.
    """
    corner, _ = corners_and_fractions(positions)
    if obj is None:
        origin = corner.min(axis=0) - margin_px
        rows, columns = corner.max(axis=0) - origin + frame_shape + margin_px
        return (int(rows), int(columns)), positions - origin
    shape = _shape_of_field("obj", obj)
    outside = (corner < 0) | (corner + frame_shape > shape)
    if outside.any():
        frame = int(np.argwhere(outside)[0, 0])
        raise InvalidArgument(
            f"pos of frame {frame} is {tuple(positions[frame])}, which puts its window outside "
            f"the object of {shape[0]} x {shape[1]} pixels; give a larger object, or None to have "
            "one made."
        )
    return shape, positions


@dataclass
class StartObject:
    """The start object as it was given, and the modes that it has grown since.

    Pixels that no part holds keep these values; nobody needs all of them at once.

    Attributes
    ----------
    given : array or None
        (A, B) or (K, A, B); with slices (A, B), (S, A, B) or (K, S, A, B); None: ones.
    shape : (int, int)
    slices : int or None
        Of each mode; the slices of the first mode come first. None: the object is thin.
    growths : list of dicts
        "modes", and the state "random" of the generator that their phases were drawn from; or
        distances of slices, "from_m" and "to_m".
    """

    given: Any
    shape: tuple[int, int]
    slices: int | None = None
    growths: list[dict[str, Any]] = field(default_factory=list)

    def whole(self) -> Any:
        """An array of the values before any growth; ones take no memory."""
        if self.given is None:
            slices = () if self.slices is None else (self.slices,)
            return np.broadcast_to(np.complex64(1), (1, *slices, *self.shape))
        return self.given

    def cut(self, box: Box | None = None, *, grown: bool = False) -> Complex64:
        """Start values (K S, rows, columns) in a box, as a copy; None: everywhere.

        All of a thin object that is given on a GPU stays there.
        """
        y0, x0, y1, x1 = box = box or (0, 0, *self.shape)
        whole = box == (0, 0, *self.shape) and self.slices is None
        if on_gpu(self.given) and whole and not (grown and self.growths):
            values: Complex64 = field_on_gpu("obj", self.given)
            return values
        if self.given is None:
            obj = np.ones((self.slices or 1, y1 - y0, x1 - x0), np.complex64)
        else:
            obj = _checked_field("obj", _as_array("obj", self.given)[..., y0:y1, x0:x1])
        slices = self.slices or 1
        for growth in self.growths if grown else ():
            if "modes" in growth:
                random = np.random.default_rng()
                random.bit_generator.state = growth["random"]
                obj = grown_object(obj, growth["modes"], random, self.shape, box, slices)
            else:
                obj = resampled_images(obj, growth["from_m"], growth["to_m"])
                slices = len(growth["to_m"]) + 1
        return obj

    def values(self) -> dict[str, Any]:
        """The attributes, as a file holds them."""
        given = None if self.given is None else self.cut()
        if given is not None and self.slices is not None:
            given = given.reshape(-1, self.slices, *self.shape)
        return vars(self) | {"given": given}

    def grow(
        self, obj: Complex64, modes: int | None, box: Box, random: Any, slices: int = 1
    ) -> Complex64:
        """The object in a box with more modes; all boxes fit together."""
        if modes is not None and modes * slices != len(obj):
            self.growths.append({"modes": modes, "random": random.bit_generator.state})
        return grown_object(obj, modes, random, self.shape, box, slices)


def checked_probe(probe: Any, frame_shape: tuple[int, int]) -> Complex64:
    """Start probe (M, Y, X), a copy."""
    array = _checked_field("probe", probe)
    if array.shape[-2:] != frame_shape:
        raise InvalidArgument(
            f"probe has shape {np.shape(probe)}, but its last two must be the shape {frame_shape} "
            "of a frame."
        )
    if not np.any(array):
        raise InvalidArgument("probe is zero everywhere, but must have some power.")
    return array


def probe_in_near_field(
    mean: Float64, mask: npt.NDArray[np.bool_], kernel: npt.NDArray[Any]
) -> Complex64:
    """Start probe (1, Y, X): the mean frame's amplitude, propagated back with a flat phase."""
    amplitude = _mean_amplitude(mean, mask)
    probe = np.fft.ifft2(np.fft.fft2(amplitude) * np.conj(kernel))
    return probe[None].astype(np.complex64)


def defocused_probe(mean: Float64, mask: npt.NDArray[np.bool_], diameter_px: float) -> Complex64:
    """Start probe (1, Y, X): the beam whose amplitude at the detector is that of the mean frame.

    A quadratic phase exp(-i pi a q^2) moves the ray at frequency q by a q pixels, so that an
    aperture of rms radius q_rms becomes a disc of diameter sqrt(8) a q_rms. The sign of the
    diameter is that of the defocus; 0 is the focus.
    """
    amplitude = _mean_amplitude(mean, mask)
    rows, columns = ((np.arange(n) - n // 2) / n for n in mean.shape)
    bright = np.where(amplitude**2 > 0.1 * amplitude.max() ** 2, amplitude**2, 0)
    weight = bright / bright.sum()
    centre = (weight.sum(axis=1) * rows).sum(), (weight.sum(axis=0) * columns).sum()
    q2 = (rows[:, None] - centre[0]) ** 2 + (columns[None, :] - centre[1]) ** 2
    radius = np.sqrt((weight * q2).sum())
    bend = diameter_px / (np.sqrt(8) * radius) if radius > 0 else 0.0
    wave = amplitude * np.exp(-1j * np.pi * bend * q2)
    probe = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(wave), norm="ortho"))
    return probe[None].astype(np.complex64)


def _mean_amplitude(mean: Float64, mask: npt.NDArray[np.bool_]) -> Float64:
    """Root of the mean frame; invalid pixels get the mean of the valid ones."""
    return np.sqrt(np.where(mask, mean, mean[mask].mean()))


def check_modes(engines: Iterable[EngineParameters], probe_modes: int, object_modes: int) -> None:
    """Refuses a chain in which modes would have to go away."""
    present = {"probe_modes": probe_modes, "object_modes": object_modes}
    for number, engine in enumerate(engines):
        for name in present:
            wanted = getattr(engine, name)
            if wanted is None:
                continue
            if wanted < present[name]:
                raise InvalidArgument(
                    f"engines[{number}].{name} is {wanted}, but there are {present[name]} modes "
                    "already; modes may only grow."
                )
            present[name] = wanted


def grown_probe(probe: Complex64, modes: int | None) -> Complex64:
    """The probe with more modes, split off the first one; total power kept.

    New modes are the first times low-order polynomials about its centre, made orthogonal: what a
    beam that moves or is partially coherent needs first.
    """
    if modes is None or modes == len(probe):
        return probe
    probe = np.asarray(probe)
    rows, columns = (_centred_axis(probe[0], axis) for axis in (0, 1))
    orders = sorted((i + j, i, j) for i in range(modes) for j in range(modes))[1:]
    raw = [probe[0] * np.outer(rows**i, columns**j) for _, i, j in orders[: modes + len(probe)]]
    basis = _orthonormal([*probe, *raw])[len(probe) : modes]
    power = float((np.abs(probe[0]) ** 2).sum())
    added = [mode * np.sqrt(NEW_MODE_POWER * power) for mode in basis]
    grown = np.stack([*probe, *added])
    total = float((np.abs(probe) ** 2).sum()) / float((np.abs(grown) ** 2).sum())
    return np.asarray(grown * np.sqrt(total), np.complex64, order="C")


def grown_object(
    obj: Complex64,
    modes: int | None,
    random: np.random.Generator,
    shape: tuple[int, int] | None = None,
    box: Box | None = None,
    slices: int = 1,
) -> Complex64:
    """The object with more modes, split off the first one; total power kept.

    New modes are the first with random phases: equal ones would stay equal for ever. With ``shape``
    and ``box``, ``obj`` is what lies in that box of an object of that shape, and so is the result.
    Of ``slices`` of each mode the first makes the difference.
    """
    if modes is None or modes * slices == len(obj):
        return obj
    count = modes - len(obj) // slices
    shape = shape or (obj.shape[1], obj.shape[2])
    y0, x0, y1, x1 = box or (0, 0, *shape)
    obj = np.asarray(obj)
    phases = np.empty((count, *obj.shape[1:]))
    for mode in phases:
        for row in range(shape[0]):
            drawn = random.uniform(-np.pi, np.pi, shape[1])
            if y0 <= row < y1:
                mode[row - y0] = drawn[x0:x1]
    added = np.repeat(obj[None, :slices], count, axis=0).astype(np.complex128)
    added[:, 0] = np.sqrt(NEW_MODE_POWER / count) * obj[0] * np.exp(1j * phases)
    first = obj[:1] * np.sqrt(1 - NEW_MODE_POWER)
    grown = [first, obj[1:], added.reshape(-1, *obj.shape[1:])]
    return np.concatenate(grown).astype(np.complex64, order="C")


def most_values(
    engines: Iterable[EngineParameters],
    probe_modes: int,
    object_modes: int,
    slices: int,
    sizes: tuple[int, int, int],
) -> int:
    """Complex numbers that a chain ever has at once in probe, eigen-probes, their weights, and
    object; ``sizes``: pixels of a probe and of an object, and frames."""
    listed = list(engines)
    probe_modes = max(probe_modes, *(engine.probe_modes or 1 for engine in listed))
    object_modes = max(object_modes, *(engine.object_modes or 1 for engine in listed))
    eigen_probes = max(engine.eigen_probes for engine in listed)
    images = probe_modes * (1 + eigen_probes), object_modes * slices, eigen_probes
    return int(sum(count * size for count, size in zip(images, sizes, strict=True)))


def orthogonal_modes(probe: Complex64) -> Complex64:
    """The same mutual coherence by orthogonal modes, the strongest first.

    Singular value decomposition of the modes as rows; sum_m |P_m|^2 stays what it is, for any
    object and propagator. Each keeps the phase of the old mode that it consists of most.
    """
    if len(probe) == 1:
        return probe
    mixed = np.tensordot(orthogonal_rotation(probe), np.asarray(probe), axes=1)
    return np.asarray(mixed.astype(np.complex64, order="C"))


def orthogonal_rotation(probe: Complex64) -> npt.NDArray[np.complex128]:
    """The unitary matrix (M, M) by which :func:`orthogonal_modes` mixes the modes."""
    rows = np.asarray(probe).reshape(len(probe), -1).astype(np.complex128)
    _, vectors = np.linalg.eigh(rows @ rows.conj().T)
    vectors = vectors[:, ::-1]
    most = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.exp(-1j * np.angle(vectors[most, np.arange(len(probe))]))
    return np.asarray(vectors.conj().T)


def _centred_axis(image: npt.NDArray[Any], axis: int) -> npt.NDArray[np.float64]:
    """-1 to 1 over the window, moved so that 0 is at the image's centre of mass."""
    power = (np.abs(image) ** 2).sum(axis=1 - axis, dtype=np.float64)
    place = np.linspace(-1, 1, len(power))
    return np.asarray(place - (power * place).sum() / power.sum())


def _orthonormal(images: list[npt.NDArray[Any]]) -> npt.NDArray[np.complex128]:
    rows = np.stack([image.ravel() for image in images]).astype(np.complex128)
    q, _ = np.linalg.qr(rows.T)
    return np.asarray(q.T).reshape(len(images), *images[0].shape)


def _shape_of_field(name: str, values: Any) -> tuple[int, int]:
    """(rows, columns) of an array of images; an object may have modes and slices."""
    array = values if on_gpu(values) else _as_array(name, values)
    most = 4 if name == "obj" else 3
    if not 2 <= array.ndim <= most or array.size == 0:
        slices = ", or with slices (modes, slices, rows, columns)" if name == "obj" else ""
        raise InvalidArgument(
            f"{name} has shape {array.shape}, but must be (rows, columns) or "
            f"(modes, rows, columns){slices}."
        )
    if array.dtype.kind not in "cfiu":
        raise InvalidArgument(f"{name} has type {array.dtype}, but must be complex64.")
    return int(array.shape[-2]), int(array.shape[-1])


def _checked_field(name: str, values: Any) -> Complex64:
    """(images, rows, columns) complex64 copy of an array of images."""
    _shape_of_field(name, values)
    array = _as_array(name, values)
    with np.errstate(over="ignore"):
        copy = np.array(array, dtype=np.complex64, order="C")
    if not np.isfinite(copy).all():
        raise InvalidArgument(
            f"{name} has values that are not finite in single precision, but all must be; start "
            "from other values."
        )
    return copy.reshape(-1, *copy.shape[-2:])


def _as_array(name: str, value: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError:
        raise InvalidArgument(
            f"{name} is a list whose items have different lengths, but must be an array."
        ) from None
