# SPDX-License-Identifier: Apache-2.0
"""The open window: its counters in memory that outlives the process.

A window is one file, mapped into memory: a header that says whose window it is
and over which grids it counts, then two *pages* with the same counters. A change
is made on the page that is not current and sealed last, with a generation and a
CRC over all of it; until then the current page stands. So the newest page with
a right CRC is consistent, wherever `kill -9` or a power cut struck. After a kill
nothing sealed is lost; after a power cut, what the kernel had not written back
(about 30 s, `vm.dirty_expire_centisecs`).

One window belongs to one bundle. Without a path, or where the disk is full,
the pages are plain memory. This module counts nothing and asks no clock.
"""

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.documents import report as documents
from insight_edge.documents.codec import Versioned, decode_json, encode_json
from insight_edge.documents.desired import Role
from insight_edge.documents.statistics import (
    GridDocument,
    SummaryDocument,
    document_from_latency,
    document_from_summary,
    grid_from_document,
)
from insight_edge.errors import DocumentError
from insight_edge.stats.grid import Grid
from insight_edge.stats.latency import LatencyHistogram
from insight_edge.stats.tally import Tally, Workspace

MAGIC: Final = b"IEWINDOW"
LAYOUT: Final = 1
PAGE_BYTES: Final = 4096
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""64 features of 256 bins need under 1 MiB a page; nothing larger is recovered."""

_PREFIX: Final = struct.Struct("<8sIII")
"""Magic, layout, length and CRC of the header."""

COUNTERS: Final = ("asked", "answered", "failed", "observed", "flagged", "broken")
_FIXED: Final = 3 + len(COUNTERS)
"""Generation, time of the seal (ns), whether closed; then the counters."""

Words = NDArray[np.int64]


class WindowHeader(Versioned, frozen=True, kw_only=True):
    """Whose window it is; `documents.report.Report` says what the fields mean."""

    device: str = "local"
    deployment: str = "default"
    boot: int
    sequence: int = 0
    bundle: str
    variant: str
    signed: bool
    opened_s: float = 0.0
    inputs: GridDocument | None = None
    outputs: GridDocument | None = None
    role: Role = "serve"
    threads: int = 0


class Page:
    """One copy of the counters, as views of the same words."""

    def __init__(self, words: Words, inputs: Workspace | None, outputs: Workspace | None) -> None:
        self.words = words
        lengths = _lengths(*(None if each is None else each.grid for each in (inputs, outputs)))
        latency, first, second, _ = np.split(words, np.cumsum(lengths)[:-1])[1:]
        self.latency = LatencyHistogram(latency)
        self.inputs = None if inputs is None else Tally(inputs.grid, first, inputs)
        self.outputs = None if outputs is None else Tally(outputs.grid, second, outputs)

    @property
    def generation(self) -> int:
        """How many seals came before; 0 for a page that was never sealed."""
        return int(self.words[0])

    @property
    def sealed_s(self) -> float:
        """When it was sealed, in seconds since the epoch."""
        return int(self.words[1]) / 1e9

    @property
    def closed(self) -> bool:
        """Whether the window was closed with this page."""
        return bool(self.words[2])

    def counts(self) -> documents.Counts:
        """Return the counters."""
        values = self.words[3:_FIXED].tolist()
        return documents.Counts(**dict(zip(COUNTERS, values, strict=True)))

    def set_counts(self, counts: documents.Counts) -> None:
        """Replace the counters."""
        self.words[3:_FIXED] = [getattr(counts, name) for name in COUNTERS]

    def seal(self, generation: int, now_ns: int, *, closed: bool) -> None:
        """Make the page the newest consistent one."""
        self.words[:3] = generation, now_ns, closed
        self.words[-1] = self._crc()

    def whole(self) -> bool:
        """Return whether it was sealed and nothing was changed since."""
        return self.generation > 0 and int(self.words[-1]) == self._crc()

    def _crc(self) -> int:
        return zlib.crc32(self.words[:-1].data)


class OpenWindow(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A window and its two pages.

    Attributes:
        pages: the current one first.
        path: of its file, or None where it is plain memory.
    """

    header: WindowHeader
    pages: list[Page]
    path: Path | None

    @property
    def current(self) -> Page:
        """The newest sealed page; read it only."""
        return self.pages[0]

    def turn(self) -> Page:
        """Return the other page with what the current one holds, to be changed and sealed."""
        self.pages[1].words[:] = self.pages[0].words
        return self.pages[1]

    def seal(self, now_ns: int, *, closed: bool = False) -> None:
        """Make the page of the last `turn` the current one."""
        self.pages[1].seal(self.current.generation + 1, now_ns, closed=closed)
        self.pages.reverse()

    def report(self) -> documents.Report:
        """Return what the current page holds; closed when it was sealed."""
        header, page = self.header, self.current
        return documents.Report(
            device=header.device,
            deployment=header.deployment,
            boot=header.boot,
            sequence=header.sequence,
            bundle=header.bundle,
            variant=header.variant,
            signed=header.signed,
            recovered=not page.closed,
            window=documents.Window(opened_s=header.opened_s, closed_s=page.sealed_s),
            counts=page.counts(),
            latency=document_from_latency(page.latency),
            inputs=_summary(page.inputs),
            outputs=_summary(page.outputs),
            role=header.role,
            threads=header.threads,
        )


def open_window(header: WindowHeader, path: Path | None) -> OpenWindow:
    """Return a new window in a new file; in plain memory where that cannot be had."""
    grids = _grids(header)
    try:
        memory = np.zeros(_pages_bytes(grids), np.uint8) if path is None else _create(header, path)
    except OSError:  # a full or read-only disk must not stop inference
        path, memory = None, np.zeros(_pages_bytes(grids), np.uint8)
    window = OpenWindow(header=header, pages=_pages(memory, grids), path=path)
    window.seal(int(header.opened_s * 1e9))
    return window


def recover_window(path: Path) -> OpenWindow:
    """Return the window in a file that an earlier process left, its newest whole page current.

    Raises:
        DocumentError: it is not a window, or neither page is whole.
    """
    try:
        data = np.fromfile(path, np.uint8, MAX_FILE_BYTES)
        header, start = _read_header(data.tobytes())
        pages = _pages(data[start:], _grids(header))
    except (OSError, ValueError, struct.error) as error:
        raise DocumentError(f"{path}: not a window: {error}") from error
    whole = sorted((page for page in pages if page.whole()), key=lambda page: -page.generation)
    if not whole:
        raise DocumentError(f"{path}: no page of the window is whole")
    return OpenWindow(header=header, pages=whole, path=path)


def _summary(tally: Tally | None) -> SummaryDocument | None:
    return None if tally is None else document_from_summary(tally.summary())


def _create(header: WindowHeader, path: Path) -> NDArray[np.uint8]:
    """Return the pages of a new file, its blocks allocated so that no write can meet a full disk.

    Raises:
        OSError: it exists, or the disk is full or cannot be written.
    """
    encoded = encode_json(header)
    prefix = _PREFIX.pack(MAGIC, LAYOUT, len(encoded), zlib.crc32(encoded))
    start = _round_up(len(prefix) + len(encoded))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        length_bytes = start + _pages_bytes(_grids(header))
        os.posix_fallocate(fd, 0, length_bytes)
        os.pwrite(fd, prefix + encoded, 0)
        os.fsync(fd)
        memory = mmap.mmap(fd, length_bytes)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    return np.frombuffer(memory, np.uint8, offset=start)


def _read_header(data: bytes) -> tuple[WindowHeader, int]:
    magic, layout, length_bytes, crc = _PREFIX.unpack_from(data)
    encoded = data[_PREFIX.size : _PREFIX.size + length_bytes]
    if magic != MAGIC or layout != LAYOUT or zlib.crc32(encoded) != crc:
        raise ValueError("its header is damaged")
    return decode_json(WindowHeader, encoded), _round_up(_PREFIX.size + length_bytes)


def _pages(memory: NDArray[np.uint8], grids: tuple[Grid | None, Grid | None]) -> list[Page]:
    page_bytes = _pages_bytes(grids) // 2
    if len(memory) != 2 * page_bytes:
        raise ValueError(f"{len(memory)} bytes of pages, expected {2 * page_bytes}")
    words = sum(_lengths(*grids))
    halves = memory.reshape(2, page_bytes)[:, : words * 8].view(np.int64)
    inputs, outputs = (None if grid is None else Workspace(grid) for grid in grids)
    return [Page(half, inputs, outputs) for half in halves]


def _lengths(inputs: Grid | None, outputs: Grid | None) -> list[int]:
    """Return the words of each part of a page: fixed, latency, inputs, outputs, CRC."""
    tallies = [0 if grid is None else Tally.words(grid) for grid in (inputs, outputs)]
    return [_FIXED, LatencyHistogram.words(), *tallies, 1]


def _pages_bytes(grids: tuple[Grid | None, Grid | None]) -> int:
    return 2 * _round_up(8 * sum(_lengths(*grids)))


def _grids(header: WindowHeader) -> tuple[Grid | None, Grid | None]:
    return (
        None if header.inputs is None else grid_from_document(header.inputs),
        None if header.outputs is None else grid_from_document(header.outputs),
    )


def _round_up(length_bytes: int) -> int:
    return -(-length_bytes // PAGE_BYTES) * PAGE_BYTES
