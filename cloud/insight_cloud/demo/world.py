# SPDX-License-Identifier: Apache-2.0
"""The world that the demo's devices look at, and what happens to it one day. Pure.

A world is the same images seen in another way. Whoever watches the fleet is not
told which one it is, nor when it changes.
"""

from collections.abc import Callable
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import ConfigurationError

Images = NDArray[np.uint8]
PEAK = 16
"""Of a pixel."""

NO_SHIFT = "none"


def _defocus(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread each pixel over its neighbours: 1-2-1 in either direction, dark outside."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4


def _occlude(images: NDArray[np.float64]) -> NDArray[np.float64]:
    hidden = images.copy()
    hidden[:, :3] = 0
    return hidden


def _noise(images: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return images + np.random.default_rng(seed).normal(0, 4, images.shape)


SHIFTS: dict[str, Callable[[NDArray[np.float64], int], NDArray[np.float64]]] = {
    NO_SHIFT: lambda images, _: images,
    "defocus-dim": lambda images, _: 0.6 * _defocus(images),
    "defocus": lambda images, _: _defocus(images),
    "dim": lambda images, _: 0.5 * images,
    "noise": _noise,
    "occlusion": lambda images, _: _occlude(images),
    "sideways": lambda images, _: np.roll(images, 2, axis=2),
}
"""What may happen to images of floats (n, h, w), with a seed for what is random."""


def check_shift(name: str) -> None:
    """Refuse what cannot happen.

    Raises:
        ConfigurationError: nothing of that name can.
    """
    if name not in SHIFTS:
        near = get_close_matches(name, SHIFTS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(SHIFTS)}"
        raise ConfigurationError(f"there is no shift '{name}'", hint=hint)


def shifted(images: Images, name: str, seed: int) -> Images:
    """Return the images (n, h, w) as they look after something has happened.

    Raises:
        ConfigurationError: nothing of that name can happen.
    """
    check_shift(name)
    seen = SHIFTS[name](images.astype(np.float64), seed)
    return np.clip(np.rint(seen), 0, PEAK).astype(np.uint8)


def known_labels(images: Images, labels: NDArray[np.int64]) -> dict[bytes, int]:
    """Return the label of each image by its pixels; images that look alike but differ are left out.

    Args:
        images: (n, h, w) in one world or several, one after the other.
        labels: (n,) of these.
    """
    found: dict[bytes, set[int]] = {}
    for image, label in zip(images, labels, strict=True):
        found.setdefault(image.tobytes(), set()).add(int(label))
    return {pixels: one.pop() for pixels, one in found.items() if len(one) == 1}
