# SPDX-License-Identifier: Apache-2.0
"""Bilinear resize with half-pixel centres and clamped edges.

Output pixel i samples the source at (i + 1/2) * size / target - 1/2, clamped to
the image, and mixes its two neighbours by distance; rows first, then columns.
No antialiasing: this is `align_corners=False` of the deep-learning frameworks.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Taps(NamedTuple):
    """For each output position: its two neighbours, and the share of the second."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    share: NDArray[np.float32]


@lru_cache(maxsize=64)
def taps(size: int, target: int) -> Taps:
    """Return where `target` output positions sample a line of `size` pixels."""
    at = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
    first = np.floor(at).astype(np.intp)
    second = np.minimum(first + 1, size - 1)
    return Taps(first, second, (at - first).astype(np.float32))


def resize(images: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return (batch, height, width[, channels]) for (batch, h, w[, channels])."""
    return _along(_along(images, 1, height), 2, width)


def _along(images: NDArray[np.float32], axis: int, target: int) -> NDArray[np.float32]:
    first, second, share = taps(images.shape[axis], target)
    mixed: NDArray[Any] = images.take(second, axis=axis)
    start = images.take(first, axis=axis)
    mixed -= start
    mixed *= share.reshape((target,) + (1,) * (images.ndim - 1 - axis))
    mixed += start
    return mixed
