# SPDX-License-Identifier: Apache-2.0
"""Files of results: a measurement a line, kept with its samples, only ever added to.

What a line says is `documents.result`. A line is whole or it is not there: one write adds
all lines of a run. Nothing is judged here.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from insight_edge.bench.interleave import Block
from insight_edge.bundle.durable import storing
from insight_edge.documents.codec import D, decode_json, encode_json
from insight_edge.documents.foreign import ForeignResult
from insight_edge.documents.result import BenchResult
from insight_edge.errors import ConfigurationError, DocumentError, LimitExceededError

MAX_FILE_BYTES: Final = 1 << 30

SAMPLES: Final = 100_000
"""Kept of one result where nobody says otherwise: 1 MiB of JSON, and a p99.9 many times over."""

_DIGITS: Final = 6
"""Of a latency in milliseconds: nanoseconds, which is what the clock tells."""


def append_results(path: Path, results: Sequence[BenchResult | ForeignResult]) -> None:
    """Add results to a file, which is made where there is none.

    Raises:
        StorageError: it cannot be written; nothing of them is in it where the disk is full.
    """
    data = b"".join(encode_json(one) + b"\n" for one in results)
    with storing(path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            before = os.fstat(fd).st_size
            try:
                _write_all(fd, data)
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, before)
                raise
        finally:
            os.close(fd)


def read_results(path: Path) -> tuple[BenchResult, ...]:
    """Return the results of a file in the order of its lines, without what others reported.

    Raises:
        ConfigurationError: it cannot be read.
        LimitExceededError: more than `MAX_FILE_BYTES`.
        DocumentError: a line is not a result; it is named.
    """
    lines = _lines(path)
    return tuple(_read(BenchResult, path, *one) for one in lines if not _is_foreign(one[1]))


def read_foreign(path: Path) -> tuple[ForeignResult, ...]:
    """Return what others reported, of a file of results; raises as `read_results`."""
    return tuple(_read(ForeignResult, path, *one) for one in _lines(path) if _is_foreign(one[1]))


def rounds_p50_ms(blocks: Iterable[Block]) -> tuple[float, ...]:
    """Return the median latency of each round of latencies in ns, in milliseconds."""
    return tuple(round(float(np.median(block)) / 1e6, _DIGITS) for block in blocks)


def samples_ms(blocks: Sequence[Block], most: int = SAMPLES) -> tuple[tuple[float, ...], ...]:
    """Return rounds of latencies in ns as milliseconds, at most so many in all.

    Each round is thinned evenly, in the order in which its latencies were taken.
    """
    each = most // len(blocks) if blocks else 0
    return tuple(_thinned(block, each) for block in blocks)


def _thinned(block: Block, most: int) -> tuple[float, ...]:
    kept = block
    if len(block) > most:
        kept = block[np.linspace(0, len(block) - 1, most).round().astype(np.intp)]
    return tuple(np.round(kept / 1e6, _DIGITS).tolist())


def _lines(path: Path) -> list[tuple[int, bytes]]:
    """Return the lines of a file that are not empty, with their numbers."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise LimitExceededError(f"{path}: more than {MAX_FILE_BYTES >> 20} MiB of results")
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


class _Who(msgspec.Struct):
    reported_by: str = ""


def _is_foreign(line: bytes) -> bool:
    """Return whether a line is of another tool; one that is no line at all is not."""
    if b'"reported_by"' not in line:
        return False
    try:
        return bool(msgspec.json.decode(line, type=_Who).reported_by)
    except msgspec.DecodeError:
        return False


def _read(kind: type[D], path: Path, number: int, line: bytes) -> D:
    try:
        return decode_json(kind, line)
    except DocumentError as error:
        raise type(error)(f"{path}, line {number}: {error}", hint=error.hint) from error


def _write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]
