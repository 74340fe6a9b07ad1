# SPDX-License-Identifier: Apache-2.0
"""PNG files made by hand, whole ones and such as nobody should write."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_of(width: int, height: int, lines: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    """Return a file that says it has this size and holds these filtered lines."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = _chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(lines)), _chunk(b"IEND", b"")
    return SIGNATURE + b"".join(parts)


def png_from_pixels(pixels: NDArray[np.uint8]) -> bytes:
    """Return the file of RGB pixels (h, w, 3)."""
    height, width, _ = pixels.shape
    return png_of(width, height, b"".join(b"\0" + row.tobytes() for row in pixels))


def photographs(count: int, *, least: int = 20, most: int = 40) -> list[bytes]:
    """Return files of noise of several sizes."""
    random = np.random.default_rng(0)
    sizes = random.integers(least, most, (count, 2))
    return [png_from_pixels(random.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum
