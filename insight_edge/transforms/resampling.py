# SPDX-License-Identifier: Apache-2.0
"""Resize with half-pixel centres and clamped edges: nearest, bilinear, and with antialiasing.

Output pixel i samples the source at (i + 1/2) * size / target - 1/2. `nearest` takes the pixel
that this lies in; `bilinear` mixes the two neighbours by distance, as `align_corners=False` of the
deep-learning frameworks does; with `antialias` an image that shrinks is weighted by a triangle over
all pixels within size / target of the place, as Pillow does. Rows first, then columns.
"""

from functools import lru_cache, reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.image_steps import Method

Image = NDArray[np.float32]


class Taps(NamedTuple):
    """For each output position, the positions it reads and their shares: (taps, target)."""

    places: NDArray[np.intp]
    shares: NDArray[np.float32]


def resize(
    images: Image, height: int, width: int, method: Method = "bilinear", *, antialias: bool = False
) -> Image:
    """Return (batch, height, width[, channels]) for (batch, h, w[, channels])."""
    return _along(_along(images, 1, height, method, antialias), 2, width, method, antialias)


def _along(images: Image, axis: int, target: int, method: Method, antialias: bool) -> Image:
    size = images.shape[axis]
    if method == "nearest":
        return images.take(_nearest(size, target), axis=axis)
    if antialias and target < size:
        return _weighted(images, axis, _triangles(size, target))
    return _mixed(images, axis, _neighbours(size, target))


def _mixed(images: Image, axis: int, taps: Taps) -> Image:
    (first, second), (_, share) = taps
    mixed: Image = images.take(second, axis=axis)
    start = images.take(first, axis=axis)
    mixed -= start
    mixed *= share.reshape((len(share),) + (1,) * (images.ndim - 1 - axis))
    mixed += start
    return mixed


def _weighted(images: Image, axis: int, taps: Taps) -> Image:
    ones = (1,) * (images.ndim - 1 - axis)
    parts = (
        images.take(places, axis=axis) * shares.reshape(-1, *ones)
        for places, shares in zip(*taps, strict=True)
    )
    # Added in this order whatever the batch is, which a sum over an axis does not promise.
    return reduce(np.add, parts)


def _centres(size: int, target: int) -> NDArray[np.float64]:
    centres: NDArray[np.float64] = (np.arange(target) + 0.5) * size / target
    return centres


@lru_cache(maxsize=64)
def _nearest(size: int, target: int) -> NDArray[np.intp]:
    return np.floor(_centres(size, target)).astype(np.intp)


@lru_cache(maxsize=64)
def _neighbours(size: int, target: int) -> Taps:
    at = np.clip(_centres(size, target) - 0.5, 0, size - 1)
    first = np.floor(at).astype(np.intp)
    second = np.minimum(first + 1, size - 1)
    share = (at - first).astype(np.float32)
    return Taps(np.stack([first, second]), np.stack([1 - share, share]))


@lru_cache(maxsize=64)
def _triangles(size: int, target: int) -> Taps:
    reach, centres = size / target, _centres(size, target)
    begin = np.maximum((centres - reach + 0.5).astype(np.intp), 0)
    end = np.minimum((centres + reach + 0.5).astype(np.intp), size)
    places = begin + np.arange((end - begin).max())[:, None]
    shares = np.maximum(1 - np.abs((places + 0.5 - centres) / reach), 0) * (places < end)
    shares /= shares.sum(axis=0)
    return Taps(np.minimum(places, size - 1), shares.astype(np.float32))
