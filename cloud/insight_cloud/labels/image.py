# SPDX-License-Identifier: Apache-2.0
"""Show an input as a picture: PNG of grey or coloured arrays, large enough to look at. Pure.

Zero stays black and the largest value becomes white, so that people see something
whatever the range of the input is; it is no faithful picture of its brightness.
"""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import DocumentError

MIN_SIDE = 128
"""Pixels that the shorter side is enlarged to at least."""

MAX_SIDE = 4096
"""Pixels; what is larger is not shown, and nothing is enlarged beyond."""

_NUMBERS = frozenset("biuf")
_CHANNELS = (1, 3)
_PNG = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


def is_picture(shape: tuple[int, ...], kind: str) -> bool:
    """Return whether an array of one row, (1, ...), of a kind of dtype can be shown."""
    return kind in _NUMBERS and _layout(shape) is not None


def png_of(array: NDArray[Any]) -> bytes:
    """Return the picture of an input.

    Args:
        array: (1, H, W), (1, H, W, C) or (1, C, H, W) with C of 1 or 3, of any numbers.

    Raises:
        DocumentError: it is no picture, or it is too large.
    """
    layout = _layout(array.shape)
    if layout is None or array.dtype.kind not in _NUMBERS:
        raise DocumentError(f"{list(array.shape)} of {array.dtype} is no picture")
    pixels = _bytes(array.reshape(layout[0]).transpose(layout[1]))
    height, width, channels = pixels.shape
    factor = _factor(height, width)
    large = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    return encode_png(large[:, :, 0] if channels == 1 else large)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of pixels: (H, W) grey or (H, W, 3) coloured."""
    height, width = pixels.shape[:2]
    colour = _GREY if pixels.ndim == 2 else _RGB
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    # Every row begins with the filter it was written through; 0 is none.
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b""))
    return _PNG + b"".join(_chunk(name, data) for name, data in parts)


def _layout(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    """Return the shape of one row with channels, and the order that makes it (H, W, C)."""
    if len(shape) not in {3, 4} or shape[0] != 1:
        return None
    row = shape[1:]
    if len(row) == 2:
        found = (row[0], row[1], 1), (0, 1, 2)
    elif row[2] in _CHANNELS:
        found = (row[0], row[1], row[2]), (0, 1, 2)
    elif row[0] in _CHANNELS:
        found = (row[0], row[1], row[2]), (1, 2, 0)
    else:
        return None
    height, width, _ = (found[0][axis] for axis in found[1])
    return found if min(height, width) >= 1 and max(height, width) <= MAX_SIDE else None


def _bytes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    values = np.nan_to_num(pixels.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(values.min())), float(values.max())
    # Each is halved first: their difference may be more than a float holds.
    span = high / 2 - low / 2
    if span <= 0:
        return np.zeros(values.shape, np.uint8)
    shown: NDArray[np.uint8] = np.rint((values / 2 - low / 2) / span * 255).astype(np.uint8)
    return shown


def _factor(height: int, width: int) -> int:
    wanted = -(-MIN_SIDE // min(height, width))
    return max(1, min(wanted, MAX_SIDE // max(height, width)))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
