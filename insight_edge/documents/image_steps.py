# SPDX-License-Identifier: Apache-2.0
"""Steps on images, from the bytes of a file to what a model is fed.

An image is (batch, h, w) or (batch, h, w, channels). Rows of one batch may differ in height and
width until a step gives them one size. What is computed is in `transforms`.
"""

from typing import Literal

from insight_edge.documents.step import Step

Method = Literal["bilinear", "nearest"]


class Decode(Step, frozen=True, kw_only=True, tag="decode"):
    """Image files to pixels; reads uint8 (batch, bytes), each file padded with zeros at its end.

    PNG of 8 bits and binary PPM and PGM are read by this release itself, other formats where Pillow
    is installed. The orientation that a camera noted is not applied, and transparency is ignored.

    Attributes:
        channels: 3 for red, green and blue, 1 for grey; the result always has that dimension.
        max_pixels: a file that says it has more is refused before anything of it is unpacked.
    """

    channels: Literal[1, 3] = 3
    max_pixels: int = 1 << 25


class Resize(Step, frozen=True, kw_only=True, tag="resize"):
    """Resize of the two spatial dimensions, half-pixel centres, edges clamped.

    Reads (batch, h, w) or (batch, h, w, channels); writes float32 of the same rank.

    Attributes:
        antialias: where an image shrinks, average over all pixels that an output pixel covers.
    """

    height: int
    width: int
    method: Method = "bilinear"
    antialias: bool = False


class ResizeShorter(Step, frozen=True, kw_only=True, tag="resize-shorter"):
    """Resize that makes the shorter side `size` and keeps the ratio; else as `resize`."""

    size: int
    method: Method = "bilinear"
    antialias: bool = False


class Crop(Step, frozen=True, kw_only=True, tag="crop"):
    """The middle of an image that is at least as large; same dtype."""

    height: int
    width: int


class Letterbox(Step, frozen=True, kw_only=True, tag="letterbox"):
    """Resize into the middle of a canvas, the ratio kept and the rest filled with `fill`.

    Attributes:
        placement: the tensor that says where the image went: float32 (batch, 6) of horizontal and
            vertical scale, left, top, and width and height of the image that was read; not
            written where empty.
    """

    height: int
    width: int
    fill: float = 114.0
    method: Method = "bilinear"
    antialias: bool = False
    placement: str = ""

    @property
    def writes(self) -> tuple[str, ...]:
        """The image, and its placement where that is wanted."""
        return (self.result, self.placement) if self.placement else (self.result,)


class Channels(Step, frozen=True, kw_only=True, tag="channels"):
    """Take channels by index along `axis`: (2, 1, 0) turns RGB into BGR."""

    order: tuple[int, ...]
    axis: int = -1
