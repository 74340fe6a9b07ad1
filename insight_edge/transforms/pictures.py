# SPDX-License-Identifier: Apache-2.0
"""Image files to pixels: which reader takes one, and how many channels come out.

PNG and PPM are read here; what else there is only where Pillow is installed. The orientation
that a camera noted is not applied, as in torchvision's readers.
"""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import DocumentError, LimitExceededError
from insight_edge.transforms import netpbm, png

Pixels = NDArray[np.uint8]

_GREY = np.array([19595, 38470, 7471], np.uint32)
"""Shares of red, green and blue in grey by ITU-R 601-2, of 65536, as Pillow rounds them."""

HINT = (
    "PNG of 8 bits and PPM are read by themselves; for others: pip install 'insight-edge[images]'"
)


def pixels_from_file(data: bytes, *, channels: int, max_pixels: int) -> Pixels:
    """Return the pixels (h, w, channels) of an image file; zeros may follow it.

    Raises:
        LimitExceededError: it says it has more than `max_pixels`; nothing was unpacked.
        DocumentError: it is empty, cut off, damaged, or of a format that is not read here.
    """
    if data[: len(png.SIGNATURE)] == png.SIGNATURE and png.header(data).plain:
        pixels = png.decode(data, max_pixels=max_pixels)
    elif data[:2] in netpbm.SIGNATURES:
        pixels = netpbm.decode(data, max_pixels=max_pixels)
    else:
        pixels = _by_pillow(data, max_pixels=max_pixels)
    if channels == pixels.shape[2]:
        return pixels
    return grey(pixels) if channels == 1 else pixels.repeat(3, axis=2)


def grey(pixels: Pixels) -> Pixels:
    """Return the luma (h, w, 1) of RGB pixels, rounded to the nearest."""
    luma = (pixels.astype(np.uint32) * _GREY).sum(axis=2, keepdims=True, dtype=np.uint32)
    rounded: Pixels = ((luma + 0x8000) >> 16).astype(np.uint8)
    return rounded


def _by_pillow(data: bytes, *, max_pixels: int) -> Pixels:
    if not data.rstrip(b"\0"):
        raise DocumentError("an empty file")
    try:
        from PIL import Image
    except ImportError as error:
        begin = data[:4].hex(" ")
        raise DocumentError(
            f"a file that begins with {begin}, which is not read here", hint=HINT
        ) from error
    try:
        with Image.open(BytesIO(data)) as image:
            if image.width * image.height > max_pixels:
                raise LimitExceededError(
                    f"an image of {image.width} by {image.height}, "
                    f"at most {max_pixels} pixels are read"
                )
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DocumentError(f"not an image that can be read: {error}") from error
