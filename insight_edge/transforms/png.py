# SPDX-License-Identifier: Apache-2.0
"""PNG of 8 bits a channel to pixels, with the standard library and NumPy.

What a file says of its size is bounded before a byte of it is unpacked. Interlaced files and other
depths are left to other readers; gamma, transparency and every ancillary chunk are ignored.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import DocumentError, LimitExceededError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

Pixels = NDArray[np.uint8]

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Bytes a pixel by colour type: grey, RGB, palette, and the first two with transparency."""

_PALETTE = 3
_BLOCK_ROWS = 512
"""Rows that are unfiltered together; bounds memory, changes no pixel."""


class Header(NamedTuple):
    """What a file says of itself."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def plain(self) -> bool:
        """Whether `decode` reads such a file."""
        return self.depth == 8 and self.colour in _CHANNELS and not self.interlaced


def header(data: bytes) -> Header:
    """Return the header of a PNG file.

    Raises:
        DocumentError: there is none.
    """
    if len(data) < 33 or data[:8] != SIGNATURE or data[8:16] != b"\0\0\0\rIHDR":
        raise DocumentError("no whole PNG header")
    if zlib.crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        raise DocumentError("the PNG header is damaged")
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    if not (width and height):
        raise DocumentError("a PNG without a pixel")
    return Header(width, height, depth, colour, bool(interlace))


def decode(data: bytes, *, max_pixels: int) -> Pixels:
    """Return the pixels (h, w, 1 or 3) of a file whose header is plain.

    Raises:
        LimitExceededError: it says it has more than `max_pixels`.
        DocumentError: it is cut off or damaged.
    """
    head = header(data)
    if head.width * head.height > max_pixels:
        raise LimitExceededError(
            f"an image of {head.width} by {head.height}, at most {max_pixels} pixels are read"
        )
    bytes_a_pixel = _CHANNELS[head.colour]
    packed, palette = bytearray(), b""
    for kind, body in _chunks(data):
        if kind == b"IDAT":
            packed += body
        elif kind == b"PLTE":
            palette = body
    lines = _inflate(packed, head.height, 1 + head.width * bytes_a_pixel)
    pixels = _unfilter(lines[:, 0], lines[:, 1:].reshape(head.height, head.width, bytes_a_pixel))
    if head.colour == _PALETTE:
        return _looked_up(pixels[..., 0], palette)
    return pixels[..., :3] if bytes_a_pixel > 2 else pixels[..., :1]


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 8 + length
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise DocumentError("a PNG that is cut off or damaged")
        if kind == b"IEND":
            return
        yield kind, data[at + 8 : end]
        at = end + 4
    raise DocumentError("a PNG that is cut off")


def _inflate(packed: bytearray, height: int, stride: int) -> NDArray[np.uint8]:
    """Return the filtered lines (height, stride); never more is unpacked than they need."""
    unpacker = zlib.decompressobj()
    try:
        lines = unpacker.decompress(packed, height * stride)
    except zlib.error as error:
        raise DocumentError("a PNG with damaged pixels") from error
    if len(lines) < height * stride:
        raise DocumentError("a PNG with too few pixels")
    return np.frombuffer(lines, np.uint8).reshape(height, stride)


def _unfilter(filters: NDArray[np.uint8], raw: NDArray[np.uint8]) -> Pixels:
    if filters.max() > 4:
        raise DocumentError("a PNG with an unknown filter")
    if not filters.any():
        return raw
    pixels = np.empty_like(raw)
    above = np.zeros(raw.shape[1:], np.uint8)
    for start in range(0, len(raw), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        pixels[rows] = _block(filters[rows], raw[rows], above)
        above = pixels[rows][-1]
    return pixels


def _block(filters: NDArray[np.uint8], raw: NDArray[np.uint8], above: Pixels) -> Pixels:
    """Undo the filters of some rows, all pixels of an anti-diagonal at once.

    Each pixel depends on those to the left, above, and left above. Pixel c of row r is kept at
    [c + r + 1, r], where row 0 is the one above: so the three are in the two lines before.
    """
    count, width = raw.shape[:2]
    skewed: NDArray[np.int16] = np.zeros((width + count + 1, count + 1, raw.shape[2]), np.int16)
    skewed[1 : width + 1, 0] = above
    for row in range(count):
        skewed[row + 2 : row + 2 + width, row + 1] = raw[row]
    kinds = filters.astype(np.intp)[:, None]
    for line in range(2, width + count + 1):
        first, last = max(1, line - width), min(count, line - 1)
        here = slice(first, last + 1)
        left = skewed[line - 1, here]
        up, corner = skewed[line - 1, first - 1 : last], skewed[line - 2, first - 1 : last]
        guess = _guess(kinds[first - 1 : last], left, up, corner)
        skewed[line, here] = (skewed[line, here] + guess) & 255
    pixels = np.empty(raw.shape, np.uint8)
    for row in range(count):
        pixels[row] = skewed[row + 2 : row + 2 + width, row + 1]
    return pixels


def _guess(
    kinds: NDArray[np.intp], left: NDArray[Any], up: NDArray[Any], corner: NDArray[Any]
) -> NDArray[np.int16]:
    """Return what each filter adds: nothing, left, up, their mean, or Paeth's choice."""
    from_left, from_up = np.abs(up - corner), np.abs(left - corner)
    from_corner = np.abs(left + up - 2 * corner)
    nearer = np.where(from_up <= from_corner, up, corner)
    paeth = np.where((from_left <= from_up) & (from_left <= from_corner), left, nearer)
    nothing = np.zeros_like(left)
    guess: NDArray[np.int16] = np.choose(kinds, (nothing, left, up, (left + up) >> 1, paeth))
    return guess


def _looked_up(indices: Pixels, palette: bytes) -> Pixels:
    if not palette or len(palette) % 3:
        raise DocumentError("a PNG without a whole palette")
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    if indices.max() >= len(colours):
        raise DocumentError("a PNG with a colour that its palette lacks")
    return colours[indices]
