# SPDX-License-Identifier: Apache-2.0
"""What each step on images computes (rules T4 and T15 to T19 in docs/formats/transforms.md).

Importing this teaches `arithmetic.apply` these steps. Shapes are checked in `image_shapes`, as far
as they are known before there is an image; what only an image tells is checked here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.image_steps import (
    Channels,
    Crop,
    Decode,
    Letterbox,
    Resize,
    ResizeShorter,
)
from insight_edge.errors import DocumentError, LimitExceededError, TensorMismatchError
from insight_edge.transforms.arithmetic import apply
from insight_edge.transforms.pictures import pixels_from_file
from insight_edge.transforms.resampling import resize

Array = NDArray[Any]


@apply.register
def _decode(step: Decode, files: Array) -> Array:
    try:
        # The executor hands over one row at a time, as their images differ in size.
        return np.stack([
            pixels_from_file(row.tobytes(), channels=step.channels, max_pixels=step.max_pixels)
            for row in files
        ])  # fmt: skip
    except (DocumentError, LimitExceededError) as error:
        raise type(error)(f"'{step.source}': {error}", hint=error.hint) from error


@apply.register
def _resize(step: Resize, array: Array) -> Array:
    images = np.asarray(array, dtype=np.float32)
    return resize(images, step.height, step.width, step.method, antialias=step.antialias)


@apply.register
def _shorter(step: ResizeShorter, array: Array) -> Array:
    height, width = shorter_size(array.shape[1], array.shape[2], step.size)
    images = np.asarray(array, dtype=np.float32)
    return resize(images, height, width, step.method, antialias=step.antialias)


def shorter_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Return height and width of which the shorter is `size`; the other is cut to an integer."""
    if height < width:
        return size, size * width // height
    return size * height // width, size


@apply.register
def _crop(step: Crop, array: Array) -> Array:
    height, width = array.shape[1:3]
    if height < step.height or width < step.width:
        raise TensorMismatchError(
            f"'{step.source}' is {height} by {width}, less than the {step.height} by {step.width} "
            "of its middle",
            hint="resize before the crop",
        )
    # Half to even, as torchvision's centre crop rounds.
    top, left = round((height - step.height) / 2), round((width - step.width) / 2)
    return np.ascontiguousarray(array[:, top : top + step.height, left : left + step.width])


@apply.register
def _letterbox(step: Letterbox, array: Array) -> Array | tuple[Array, ...]:
    height, width = array.shape[1:3]
    scale = min(step.height / height, step.width / width)
    inner = max(round(height * scale), 1), max(round(width * scale), 1)
    top, left = (step.height - inner[0]) // 2, (step.width - inner[1]) // 2
    images = np.asarray(array, dtype=np.float32)
    shape = (len(array), step.height, step.width, *array.shape[3:])
    canvas = np.full(shape, step.fill, np.float32)
    canvas[:, top : top + inner[0], left : left + inner[1]] = resize(
        images, *inner, step.method, antialias=step.antialias
    )
    if not step.placement:
        return canvas
    placed = [inner[1] / width, inner[0] / height, left, top, width, height]
    return canvas, np.tile(np.array(placed, np.float32), (len(array), 1))


@apply.register
def _channels(step: Channels, array: Array) -> Array:
    return np.ascontiguousarray(array.take(step.order, axis=step.axis))
