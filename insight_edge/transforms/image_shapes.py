# SPDX-License-Identifier: Apache-2.0
"""What each step on images makes of a tensor's spec, and why some cannot be applied.

Importing this teaches `shapes.result_spec` these steps.
"""

from insight_edge.documents.image_steps import (
    Channels,
    Crop,
    Decode,
    Letterbox,
    Resize,
    ResizeShorter,
)
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.shapes import axis_of, refuse_text, result_spec

HEIGHT, WIDTH = "height", "width"
"""Dimensions of an image that only the image tells."""


@result_spec.register
def _decode(step: Decode, spec: TensorSpec) -> TensorSpec:
    if spec.dtype != "uint8" or len(spec.shape) != 2:
        raise ConfigurationError(
            f"'{spec.name}' is {spec.dtype} {list(spec.shape)}, not the bytes of files",
            hint='declare the input with dtype = "uint8" and shape = ["batch", "bytes"]',
        )
    if step.max_pixels < 1:
        raise ConfigurationError(f"at most {step.max_pixels} pixels leave no image")
    shape = (spec.shape[0], HEIGHT, WIDTH, step.channels)
    return TensorSpec(name=step.result, dtype="uint8", shape=shape)


@result_spec.register
def _resize(step: Resize, spec: TensorSpec) -> TensorSpec:
    return _sized(step.result, "float32", spec, step.height, step.width)


@result_spec.register
def _shorter(step: ResizeShorter, spec: TensorSpec) -> TensorSpec:
    return _sized(step.result, "float32", spec, step.size, step.size, (HEIGHT, WIDTH))


@result_spec.register
def _crop(step: Crop, spec: TensorSpec) -> TensorSpec:
    made = _sized(step.result, spec.dtype, spec, step.height, step.width)
    for found, wanted in zip(spec.shape[1:3], made.shape[1:3], strict=True):
        if isinstance(found, int) and isinstance(wanted, int) and found < wanted:
            raise ConfigurationError(
                f"'{spec.name}' is {list(spec.shape[1:3])}, and its middle cannot be "
                f"{step.height} by {step.width}",
                hint="resize before the crop",
            )
    return made


@result_spec.register
def _letterbox(step: Letterbox, spec: TensorSpec) -> TensorSpec | tuple[TensorSpec, ...]:
    made = _sized(step.result, "float32", spec, step.height, step.width)
    if not step.placement:
        return made
    return made, TensorSpec(name=step.placement, dtype="float32", shape=(spec.shape[0], 6))


@result_spec.register
def _channels(step: Channels, spec: TensorSpec) -> TensorSpec:
    axis = axis_of(step.axis, spec)
    size = spec.shape[axis]
    if not step.order or not all(
        index >= 0 and (isinstance(size, str) or index < size) for index in step.order
    ):
        raise ConfigurationError(f"'{spec.name}' has {size} channels, not all of {step.order}")
    shape = (*spec.shape[:axis], len(step.order), *spec.shape[axis + 1 :])
    return TensorSpec(name=step.result, dtype=spec.dtype, shape=shape)


def _sized(
    name: str,
    dtype: str,
    spec: TensorSpec,
    height: int,
    width: int,
    sizes: tuple[int | str, int | str] | None = None,
) -> TensorSpec:
    """Return the spec of an image of another size, after looking at the one it is made of."""
    refuse_text(spec)
    if len(spec.shape) not in {3, 4}:
        raise ConfigurationError(
            f"'{spec.name}' has {len(spec.shape)} dimensions",
            hint="images are (batch, h, w) or (batch, h, w, channels)",
        )
    if len(spec.shape) == 4 and spec.shape[1] in {1, 3} and spec.shape[3] not in {1, 2, 3, 4}:
        raise ConfigurationError(
            f"'{spec.name}' is {list(spec.shape)}: its channels come before its rows",
            hint="images are (batch, h, w, channels); put `layout` after the steps on images",
        )
    if height < 1 or width < 1:
        raise ConfigurationError(f"{height} by {width} is not an image size")
    shape = (spec.shape[0], *(sizes or (height, width)), *spec.shape[3:])
    return TensorSpec(name=name, dtype=dtype, shape=shape)
