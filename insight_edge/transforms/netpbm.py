# SPDX-License-Identifier: Apache-2.0
"""Binary PGM and PPM of 8 bits to pixels: the formats that anything can write."""

import re

import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import DocumentError, LimitExceededError

SIGNATURES = (b"P5", b"P6")

_GAP = rb"(?:[ \t\r\n]|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([56])" + (_GAP + rb"(\d{1,9})") * 3 + rb"[ \t\r\n]")
_HEADER_BYTES = 4096
"""No header is looked for beyond this; comments may be in it."""


def decode(data: bytes, *, max_pixels: int) -> NDArray[np.uint8]:
    """Return the pixels (h, w, 1 or 3).

    Raises:
        LimitExceededError: it says it has more than `max_pixels`.
        DocumentError: it is cut off, damaged or not of 8 bits.
    """
    match = _HEADER.match(data[:_HEADER_BYTES])
    if match is None:
        raise DocumentError("no whole PPM header")
    kind, width, height, largest = (int(group) for group in match.groups())
    if width * height > max_pixels:
        raise LimitExceededError(
            f"an image of {width} by {height}, at most {max_pixels} pixels are read"
        )
    channels = 3 if kind == 6 else 1
    length = width * height * channels
    if largest != 255 or not length:
        raise DocumentError("a PPM without a pixel, or not of 8 bits")
    if len(data) < match.end() + length:
        raise DocumentError("a PPM that is cut off")
    pixels = np.frombuffer(data, np.uint8, length, match.end())
    return pixels.reshape(height, width, channels)
