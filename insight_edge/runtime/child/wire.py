# SPDX-License-Identifier: Apache-2.0
"""What an engine's child and its parent say to each other: pure.

Messages are packets of msgpack, one a packet; arrays are not among them, but lie in memory that
both have mapped, where a message says. Neither end believes the other: a place outside of that
memory, a type that is no number or text, and a packet that does not decode are errors.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

MAX_PACKET_BYTES = 64 * 1024
ALIGNMENT = 64
"""Engines read aligned arrays in place."""

MAX_WORDS = 2000
KEEP = b"keep"
"""Sent to a child that has loaded; every other packet there brings the ends of a line."""
_PLAIN_KINDS = frozenset("biufcU")

Arrays = Mapping[str, NDArray[Any]]
Buffer = Any
"""What has the buffer protocol."""


class Tensor(msgspec.Struct, frozen=True, array_like=True):
    """Where an array lies.

    Attributes:
        dtype: as NumPy writes it, byte order and size included.
        at: of its first byte in the shared memory.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    at: int


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to load, and what it may take; the first packet.

    Attributes:
        bundle, digest: directory, and what its manifest has to be.
        signed: whether somebody vouches for it.
        memory_bytes: as in `Isolation`.
        cache: as in `Bundle`.
    """

    bundle: str
    digest: str
    signed: bool
    variant: str
    threads: int
    memory_bytes: int | None
    cache: str | None = None


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """It can be asked."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It cannot: an error of ours by its class.

    Attributes:
        cause: what the engine raised, in words.
    """

    kind: str
    message: str
    hint: str | None = None
    cause: str | None = None


class Answered(msgspec.Struct, frozen=True, tag=True):
    """The outputs of a call."""

    tensors: tuple[Tensor, ...]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """What the engine raised."""

    message: str


class Narrow(msgspec.Struct, frozen=True, tag=True):
    """Inputs and outputs together need more memory than is shared: ask again with as much."""

    needed_bytes: int


class NonsenseError(Exception):
    """What a child says cannot be meant."""


asked = msgspec.msgpack.Decoder(tuple[Tensor, ...])
replies = msgspec.msgpack.Decoder(Answered | Failed | Narrow)
beginnings = msgspec.msgpack.Decoder(Loaded | Refused)
setups = msgspec.msgpack.Decoder(Setup)


def packet(message: Any) -> bytes:
    """Return a message as it is sent.

    Raises:
        ValueError: it is longer than is ever received.
    """
    data = msgspec.msgpack.encode(message)
    if len(data) > MAX_PACKET_BYTES:
        raise ValueError(f"{len(data)} bytes of names and shapes, at most {MAX_PACKET_BYTES}")
    return data


def placed(arrays: Arrays, start: int = 0) -> tuple[tuple[Tensor, ...], int]:
    """Return where arrays are to lie from `start` on, and the end of the last.

    Raises:
        TypeError: one is not of numbers, booleans or text.
    """
    found, end = [], start
    for name, array in arrays.items():
        if array.dtype.kind not in _PLAIN_KINDS:
            raise TypeError(f"'{name}': arrays of {array.dtype} do not pass between processes")
        at = -(-end // ALIGNMENT) * ALIGNMENT
        found.append(Tensor(name, array.dtype.str, array.shape, at))
        end = at + array.nbytes
    return tuple(found), end


def views(tensors: Iterable[Tensor], memory: Buffer) -> dict[str, NDArray[Any]]:
    """Return the arrays as they lie in memory.

    Raises:
        ValueError: one does not lie within it, or is not of numbers, booleans or text.
    """
    return {tensor.name: _view(tensor, memory) for tensor in tensors}


def _view(tensor: Tensor, memory: Buffer) -> NDArray[Any]:
    try:
        return np.ndarray(_sizes(tensor), _plain(tensor.dtype), memory, tensor.at)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"'{tensor.name}': {error}") from error


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape; NumPy takes a place before the memory, and dimensions below 0, for good."""
    if min((tensor.at, *tensor.shape)) < 0:
        raise ValueError(f"{tensor.shape} at {tensor.at} is no place")
    return tensor.shape


def _plain(name: str) -> np.dtype[Any]:
    dtype = np.dtype(name)
    if dtype.kind not in _PLAIN_KINDS:
        raise ValueError(f"arrays of {dtype} do not pass between processes")
    return dtype
