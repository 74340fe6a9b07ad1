# SPDX-License-Identifier: Apache-2.0
"""WAV files to samples from -1 to 1, with NumPy alone: PCM of 8 to 32 bits, and floats of 32."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insight_edge.errors import DocumentError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE

Samples = NDArray[np.float32]


class Header(NamedTuple):
    """How samples are written."""

    kind: int
    channels: int
    rate: int
    bits: int


def samples_from_file(data: bytes, *, rate: int, most: int) -> Samples:
    """Return at most the first `most` samples (n,), the mean of all channels.

    Raises:
        DocumentError: it is cut off or damaged, of another rate, or written as nothing read here.
    """
    chunks = dict(_chunks(data))
    if "fmt " not in chunks or "data" not in chunks:
        raise DocumentError("no whole WAV file")
    head = _header(chunks["fmt "])
    if head.rate != rate:
        raise DocumentError(f"a sound of {head.rate} samples a second, {rate} are taken")
    frame = head.channels * head.bits // 8
    body = chunks["data"][: most * frame]
    values = _values(head, body[: len(body) - len(body) % frame])
    # Added in this order whatever the batch is.
    total = np.zeros(len(values) // head.channels, np.float32)
    for channel in range(head.channels):
        total += values[channel :: head.channels]
    return total / np.float32(head.channels)


def _chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the first chunk of each kind last, so that it is the one that counts."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise DocumentError("no WAV file")
    found, at = [], 12
    while at + 8 <= len(data) and any(data[at : at + 4]):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > len(data):
            raise DocumentError("a WAV file that is cut off")
        found.append((data[at : at + 4].decode("latin-1"), data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    yield from reversed(found)


def _header(body: bytes) -> Header:
    if len(body) < 16:
        raise DocumentError("no whole WAV header")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if kind == EXTENSIBLE and len(body) >= 26:
        kind = int.from_bytes(body[24:26], "little")
    known = (kind == PCM and bits in {8, 16, 24, 32}) or (kind == FLOAT and bits == 32)
    if not known or not 1 <= channels <= 64:
        raise DocumentError(f"a WAV file of kind {kind}, {bits} bits, {channels} channels")
    return Header(kind, channels, rate, bits)


def _values(head: Header, body: bytes) -> Samples:
    if head.kind == FLOAT:
        return np.frombuffer(body, "<f4").astype(np.float32)
    if head.bits == 8:
        return (np.frombuffer(body, np.uint8).astype(np.float32) - 128) / np.float32(128)
    size = head.bits // 8
    wide = np.zeros((len(body) // size, 4), np.uint8)
    wide[:, 4 - size :] = np.frombuffer(body, np.uint8).reshape(-1, size)
    return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
