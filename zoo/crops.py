# SPDX-License-Identifier: Apache-2.0
"""Tasks from scikit-image's photographs: which one a crop is of, and which texture a pixel is of.

Crops have the photographs' own pixels; nothing is enlarged. What is trained on
lies in the left 60 % of every photograph, what is proven on in the right 40 %,
so no pixel is in both. Crops of one photograph overlap one another: their rows
are less independent than their number says.
"""

import numpy as np
from numpy.typing import NDArray

from zoo.member import SEED, Data, Rows
from zoo.shipped import pictures

TRAINING_SHARE = 0.6
TEXTURES = ("brick", "grass", "gravel")

Image = NDArray[np.uint8]
Float = NDArray[np.float32]


def photographs(size: int, training: int, verification: int) -> Data:
    """Return crops (n, 3, size, size) around 0 labelled with the photograph each is of."""
    random = np.random.default_rng(SEED)
    halves = [_halves(picture) for picture in pictures().values()]
    return Data(
        training=_crops([left for left, _ in halves], size, training, random),
        verification=_crops([right for _, right in halves], size, verification, random),
        classes=tuple(pictures()),
    )


def mosaics(size: int, training: int, verification: int) -> Data:
    """Return grey mosaics (n, 1, size, size) of three textures, labelled pixel by pixel.

    A pixel is of the texture whose seed is nearest.
    """
    random = np.random.default_rng(SEED)
    halves = [_halves(pictures()[name][..., :1]) for name in TEXTURES]
    return Data(
        training=_mosaics([left for left, _ in halves], size, training, random),
        verification=_mosaics([right for _, right in halves], size, verification, random),
        classes=TEXTURES,
    )


def centred(pixels: NDArray[np.uint8]) -> Float:
    """Return (..., height, width, channels) pixels as (..., channels, height, width) around 0."""
    scaled = pixels.astype(np.float32) / 64 - 2
    return np.ascontiguousarray(np.moveaxis(scaled, -1, -3))


def _halves(picture: Image) -> tuple[Image, Image]:
    cut = int(picture.shape[1] * TRAINING_SHARE)
    return picture[:, :cut], picture[:, cut:]


def _crops(areas: list[Image], size: int, count: int, random: np.random.Generator) -> Rows:
    labels = random.permutation(np.arange(count) % len(areas))
    crops = np.stack([_crop(areas[label], size, random) for label in labels])
    return Rows(inputs={"x": centred(crops)}, labels=labels.astype(np.int64))


def _crop(area: Image, size: int, random: np.random.Generator) -> Image:
    top, left = (int(random.integers(0, side - size + 1)) for side in area.shape[:2])
    return area[top : top + size, left : left + size]


def _mosaics(areas: list[Image], size: int, count: int, random: np.random.Generator) -> Rows:
    places = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1)
    images, truths = [], []
    for _ in range(count):
        seeds = random.uniform(0, size, (len(areas), 2))
        truth = np.linalg.norm(places[:, :, None] - seeds, axis=-1).argmin(axis=-1)
        crops = np.stack([_crop(area, size, random)[..., 0] for area in areas])
        images.append(np.take_along_axis(crops, truth[None], axis=0)[0])
        truths.append(truth)
    pixels = centred(np.stack(images)[..., None])
    return Rows(inputs={"x": pixels}, labels=np.stack(truths).astype(np.int64))
