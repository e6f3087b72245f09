"""Objects from pictures: amplitude and phase from scikit-image's built-in images, or given ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from exitwave import checks
from exitwave.errors import InvalidArgument
from exitwave.probes import mode_powers

Array = npt.NDArray[Any]

# Images inside scikit-image's wheel, so that nothing is downloaded.
IMAGES = (
    "astronaut",
    "brick",
    "camera",
    "cell",
    "chelsea",
    "clock",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "page",
    "retina",
    "rocket",
    "text",
)


def from_images(
    shape: tuple[int, int],
    amplitude_image: str | Array = "camera",
    phase_image: str | Array = "gravel",
    amplitude_range: tuple[float, float] = (0.5, 1.0),
    phase_range_rad: tuple[float, float] = (-1.0, 1.0),
    *,
    modes: int = 1,
    powers: npt.ArrayLike | None = None,
) -> npt.NDArray[np.complex128]:
    """Object amplitude * exp(i phase) from two pictures.

    Pictures larger than the object are cropped to its aspect and scaled down; smaller ones are
    continued by reflection and never scaled up, so that the object has detail up to its pixel.

    Parameters
    ----------
    shape : (A, B)
    amplitude_image, phase_image : name in ``IMAGES`` or real array (rows, columns)
    amplitude_range, phase_range_rad : (lowest, highest)
        Values that the darkest and the brightest pixel of the picture become.
    modes : int
        Incoherent object modes K; further ones exchange and turn the pictures.
    powers : K positive numbers or None
        Relative mean powers of the modes; None: each half of the one before.

    Returns
    -------
    complex128, shape (A, B), or (K, A, B) for more than one mode

    Raises
    ------
    InvalidArgument
        A name is unknown, or a range is empty or negative.
    """
    size = checks.shape2("shape", shape, least=1)
    low, high = _range("amplitude_range", amplitude_range)
    if low < 0:
        raise InvalidArgument(f"amplitude_range began at {low:g}, but must not be negative.")
    phase_low, phase_high = _range("phase_range_rad", phase_range_rad)
    weights = mode_powers(checks.whole("object_modes", modes), powers)
    pictures = [
        _gray("amplitude_image", amplitude_image),
        _gray("phase_image", phase_image),
    ]
    stack = []
    for mode, weight in enumerate(weights):
        first, second = (np.rot90(p, mode) for p in pictures[:: -1 if mode % 2 else 1])
        amplitude = low + (high - low) * _fit(first, size)
        phase = phase_low + (phase_high - phase_low) * _fit(second, size)
        stack.append(np.sqrt(weight) * amplitude * np.exp(1j * phase))
    return np.asarray(stack[0] if len(stack) == 1 else np.stack(stack))


# Pictures without large dark parts, so that every slice has detail everywhere.
SLICE_IMAGES = (
    "camera",
    "gravel",
    "brick",
    "grass",
    "astronaut",
    "text",
    "coffee",
    "chelsea",
    "immunohistochemistry",
    "coins",
)


_FINEST_PX, _BROADEST_PX = 1.0, 6.0


def from_slices(
    shape: tuple[int, int],
    slices: int,
    amplitude_range: tuple[float, float] = (1.0, 1.0),
    phase_range_rad: tuple[float, float] = (0.0, 0.3),
) -> npt.NDArray[np.complex128]:
    """Thick object of weak slices, each with the detail of another picture as phase.

    Detail of one to six pixels only: what is finer is lost at the band limit between the slices,
    and what is broader looks the same from every direction of the beam, so that no data tell which
    slice it is in.

    Parameters
    ----------
    shape : (A, B)
    slices : int
        Number S of slices; pictures are used again, turned, after ten.
    amplitude_range, phase_range_rad : (lowest, highest)
        Of each slice.

    Returns
    -------
    complex128, shape (S, A, B), upstream slice first

    Raises
    ------
    InvalidArgument
        A range is empty or negative.
    """
    size = checks.shape2("shape", shape, least=1)
    count = checks.whole("slices", slices)
    stack = []
    for index in range(count):
        picture = _gray("image", SLICE_IMAGES[index % len(SLICE_IMAGES)])
        picture = _fit(np.rot90(picture, index // len(SLICE_IMAGES)), size)
        detail = gaussian_filter(picture, _FINEST_PX) - gaussian_filter(picture, _BROADEST_PX)
        stack.append(from_images(size, detail, detail, amplitude_range, phase_range_rad))
    return np.stack(stack)


def _range(name: str, values: tuple[float, float]) -> tuple[float, float]:
    if len(values) != 2:
        raise InvalidArgument(f"{name} was {values!r}, but must be (lowest, highest).")
    low, high = (checks.number(name, value) for value in values)
    if low > high:
        raise InvalidArgument(f"{name} was {values!r}, but the lowest must come first.")
    return low, high


def _gray(name: str, picture: str | Array) -> npt.NDArray[np.float64]:
    """Gray picture as float64."""
    if not isinstance(picture, str):
        array = checks.image(name, picture)
        if np.iscomplexobj(array):
            raise InvalidArgument(f"{name} was complex, but must be real.")
        return array.astype(np.float64)
    checks.choice(name, picture, IMAGES)
    from skimage import color, data

    array = np.asarray(getattr(data, picture)())
    return np.asarray(color.rgb2gray(array) if array.ndim == 3 else array, dtype=np.float64)


def _fit(picture: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Picture cropped and scaled down, or reflected, to ``shape``; values from 0 to 1."""
    zoom = min(have / need for have, need in zip(picture.shape, shape, strict=True))
    if zoom > 1:
        from skimage.transform import resize

        crop = [
            min(have, round(need * zoom)) for have, need in zip(picture.shape, shape, strict=True)
        ]
        start = [(have - take) // 2 for have, take in zip(picture.shape, crop, strict=True)]
        picture = picture[start[0] : start[0] + crop[0], start[1] : start[1] + crop[1]]
        picture = np.asarray(resize(picture, shape, order=1, anti_aliasing=True))  # type: ignore[no-untyped-call]
    else:
        short = [max(need - have, 0) for have, need in zip(picture.shape, shape, strict=True)]
        picture = np.pad(picture, [(s // 2, s - s // 2) for s in short], mode="symmetric")
        start = [(have - need) // 2 for have, need in zip(picture.shape, shape, strict=True)]
        picture = picture[start[0] : start[0] + shape[0], start[1] : start[1] + shape[1]]
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low) if high > low else np.zeros(shape)
