# SPDX-License-Identifier: Apache-2.0
"""Parts of many messages, still in MessagePack, as arrays.

A message of which an object is made for each number takes five times as long to read. Where the
numbers of all messages are as short as they mostly are, their bytes are the array;
else they are decoded. What the numbers mean is not known here.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import DocumentError
from insight_edge.stats.columns import integers as integers_of_any_size

Parts = Sequence[msgspec.Raw]
"""One of each message."""

Integers = NDArray[np.int64]

_FLOAT = b"\xcb"
_SHORT_TEXTS = bytes(range(0xA1, 0xC0))
_DECIMAL = b"-0123456789"
_NAME_DIGITS = 3
_PAIR_BYTES = 1 + _NAME_DIGITS + 1


class Buckets(NamedTuple):
    """Counts by the index of a bucket, one message after the other.

    Attributes:
        sizes: i8[n], how many buckets each message names.
        indices, counts: i8[sum of sizes].
    """

    sizes: Integers
    indices: Integers
    counts: Integers


def integers(parts: Parts, shape: Sequence[int]) -> Integers:
    """Return arrays of integers: i8[n, *shape], or of another shape where they have one.

    Raises:
        DocumentError: they are no such arrays.
        ValueError: they are of unlike shapes.
        OverflowError: one does not fit 64 bits.
    """
    packed = b"".join(parts)
    held = _held(packed, len(parts), _layout(tuple(shape), b"", 1))
    if held is not None and held.max(initial=0) < 0x80:  # such a byte is its number
        return held.reshape(len(parts), *shape).astype(np.int64)
    nested: Any = int
    for _ in shape:
        nested = list[nested]
    return np.array(_decoded(packed, len(parts), nested), np.int64)


def floats(parts: Parts, length: int, absent: float) -> NDArray[np.float64]:
    """Return rows of floats: f8[n, length], or of another length where they have one.

    Args:
        parts: arrays of floats or nil.
        length: that is expected.
        absent: stands for nil.

    Raises:
        DocumentError: they are no such arrays.
        ValueError: they are of unlike lengths.
    """
    packed = b"".join(parts)
    held = _held(packed, len(parts), _layout((length,), _FLOAT, 8))
    if held is not None:
        return held.view(">f8").astype(np.float64)
    rows = _decoded(packed, len(parts), list[float | None])
    filled = [[absent if value is None else value for value in row] for row in rows]
    return np.array(filled, np.float64)


def decimals(parts: Parts, length: int) -> NDArray[Any]:
    """Return rows of integers that are written as text: [n, length], as `stats.integers` does.

    Raises:
        DocumentError: they are no arrays of text.
        ValueError: they are of unlike lengths, or a text is no integer.
    """
    packed = b"".join(parts)
    if _are_short_decimals(packed, len(parts), length):
        # Of other texts msgspec reads some that are no decimals, such as 1e3, and of these
        # it refuses some that are, such as 01.
        with suppress(DocumentError):
            return integers_of_any_size(_decoded(packed, len(parts), list[int], strict=False))
    texts = _decoded(packed, len(parts), list[str])
    return integers_of_any_size([[*map(int, row)] for row in texts])


def buckets(parts: Parts, names: dict[str, int]) -> Buckets:
    """Return counts by the index of a bucket.

    Args:
        parts: maps of names to counts.
        names: their indices; those of three digits are their numbers.

    Raises:
        DocumentError: they are no such maps.
        KeyError: a name is none.
        OverflowError: a count does not fit 64 bits.
    """
    return _short_buckets(parts) or _any_buckets(parts, names)


def _short_buckets(parts: Parts) -> Buckets | None:
    """Return buckets where all names have three digits, rising, and all counts a byte."""
    packed = [bytes(each) for each in parts]
    heads = [_map_head(len(each)) for each in packed]
    if not all(map(bytes.startswith, packed, heads)):
        return None
    bodies = [each[len(head) :] for each, head in zip(packed, heads, strict=True)]
    joined = b"".join(bodies)
    if len(joined) % _PAIR_BYTES:
        return None
    table = np.frombuffer(joined, np.uint8).reshape(-1, _PAIR_BYTES)
    digits, counts = table[:, 1:-1] - np.uint8(ord("0")), table[:, -1]
    if (table[:, 0] != 0xA0 + _NAME_DIGITS).any() or digits.max(initial=0) > 9:
        return None
    indices = digits @ np.array([100, 10, 1])
    sizes = np.array([len(each) // _PAIR_BYTES for each in bodies], np.int64)
    is_first = np.zeros(len(table) + 1, np.bool_)
    is_first[np.cumsum(sizes) - sizes] = True
    is_rising = is_first[1:-1] | (np.diff(indices) > 0)
    if counts.max(initial=0) >= 0x80 or indices.min(initial=100) < 100 or not is_rising.all():
        return None
    return Buckets(sizes, indices, counts.astype(np.int64))


def _any_buckets(parts: Parts, names: dict[str, int]) -> Buckets:
    several = _decoded(b"".join(parts), len(parts), dict[str, int])
    return Buckets(
        np.array([*map(len, several)], np.int64),
        np.array([names[name] for each in several for name in each], np.int64),
        np.array([count for each in several for count in each.values()], np.int64),
    )


class _Layout(NamedTuple):
    """Where an array of one shape has its elements, if they all take as many bytes.

    Attributes:
        length_bytes: of the array.
        fixed: places of what is not of the elements, u8 in `expected`.
        held: places of the elements' bytes.
    """

    length_bytes: int
    fixed: NDArray[np.intp]
    expected: NDArray[np.uint8]
    held: NDArray[np.intp]


@lru_cache(maxsize=256)
def _layout(shape: tuple[int, ...], mark: bytes, width: int) -> _Layout:
    """Return the layout of an array whose elements are a mark and so many bytes."""
    pattern = [*mark, *[-1] * width]
    for length in reversed(shape):
        pattern = [*_head(length, 0x90, b"\xdc"), *pattern * length]
    kinds = np.array(pattern)
    fixed = np.flatnonzero(kinds >= 0)
    return _Layout(len(kinds), fixed, kinds[fixed].astype(np.uint8), np.flatnonzero(kinds < 0))


def _held(packed: bytes, parts: int, layout: _Layout) -> NDArray[np.uint8] | None:
    """Return the bytes of the elements, u8[parts, …]; None where some are laid out otherwise.

    An array says how long it is, so one behind the other begins where it is looked for if
    all before it have this layout.
    """
    if len(packed) != parts * layout.length_bytes:
        return None
    table = np.frombuffer(packed, np.uint8).reshape(parts, layout.length_bytes)
    if (table.take(layout.fixed, axis=1) != layout.expected).any():
        return None
    return table.take(layout.held, axis=1)


def _are_short_decimals(packed: bytes, parts: int, length: int) -> bool:
    """Return whether all elements of arrays are text of digits and `-`, below 32 bytes long."""
    heads = _head(length, 0x90, b"\xdc") * parts
    others = packed.translate(None, _SHORT_TEXTS)
    return len(packed) - len(others) == parts * length and others.translate(
        None, _DECIMAL
    ) == heads.translate(None, _DECIMAL)


def _map_head(length_bytes: int) -> bytes:
    """Return what a map of pairs begins with that is so long with it."""
    pairs = length_bytes // _PAIR_BYTES
    return _head(pairs, 0x80, b"\xde")


def _head(length: int, short: int, long: bytes) -> bytes:
    """Return what msgpack writes before so many elements."""
    return bytes([short | length]) if length < 16 else long + length.to_bytes(2)


def _decoded(packed: bytes, parts: int, kind: Any, *, strict: bool = True) -> list[Any]:
    try:
        found: list[Any] = _decoder(kind, strict).decode(b"\xdd" + parts.to_bytes(4) + packed)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DocumentError(str(error)) from error
    return found


@lru_cache(maxsize=16)
def _decoder(kind: Any, strict: bool) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(list[kind], strict=strict)
