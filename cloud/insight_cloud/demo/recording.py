# SPDX-License-Identifier: Apache-2.0
"""What an application asked and was answered, call by call, in files that a kill leaves whole.

    <name>.<number>          one record an answered call, in the order of answers
    <name>.<number>.asked    i8[callers], how many calls each has begun

A process writes a pair of files of its own; all of a device are read together.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
RECORD = np.dtype([
    ("image", "<i4"),
    ("world", "<i4"),
    ("started_ns", "<i8"),
    ("latency_ns", "<i8"),
    ("bundle", "S71"),
    ("failed", "?"),
    ("probabilities", "<f4", (CLASSES,)),
])  # fmt: skip


class Journal:
    """What one process of an application writes down; threads may share it.

    Args:
        path: of a file that does not exist yet.
        callers: threads that ask.
    """

    def __init__(self, path: Path, callers: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        self.asked = np.memmap(f"{path}.asked", "<i8", "w+", shape=(callers,))

    def answered(
        self,
        *,
        image: int,
        world: int,
        started_ns: int,
        latency_ns: int,
        bundle: str,
        probabilities: NDArray[np.float32],
    ) -> None:
        """Write down an answer."""
        self._write((image, world, started_ns, latency_ns, bundle.encode(), False, probabilities))

    def failed(self, *, image: int, world: int, started_ns: int) -> None:
        """Write down that a call failed."""
        self._write((image, world, started_ns, 0, b"", True, np.zeros(CLASSES)))

    def _write(self, record: tuple[object, ...]) -> None:
        os.write(self._file, np.array([record], RECORD).tobytes())


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What the application asked and was answered; one entry an answer.

    Attributes:
        asked: calls begun, answered or not.
        failed: of these, that failed.
        bundle: digest of the bundle that each answer claims to be from.
        image: index of the image asked about.
        world: 1 where it was asked after the shift, else 0.
        started_ns, latency_ns: monotonic.
        probabilities: (answers, classes).
    """

    asked: int
    failed: int
    bundle: NDArray[np.str_]
    image: NDArray[np.int32]
    world: NDArray[np.int32]
    started_ns: NDArray[np.int64]
    latency_ns: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def read_recording(name: Path) -> Recording:
    """Return what all processes of an application wrote down, in the order of time."""
    counters = sorted(name.parent.glob(f"{name.name}.*.asked"))
    files = [path.with_suffix("") for path in counters]
    parts = [np.frombuffer(_whole(path.read_bytes()), RECORD) for path in files]
    rows = np.concatenate(parts) if parts else np.empty(0, RECORD)
    failed = rows["failed"]
    rows = rows[~failed]
    rows = rows[np.argsort(rows["started_ns"], kind="stable")]
    return Recording(
        asked=sum(int(np.fromfile(path, "<i8").sum()) for path in counters),
        failed=int(failed.sum()),
        bundle=rows["bundle"].astype(np.str_),
        **{
            name: rows[name]
            for name in ("image", "world", "started_ns", "latency_ns", "probabilities")
        },
    )


def _whole(data: bytes) -> bytes:
    """Return the records that were written to their end."""
    return data[: len(data) // RECORD.itemsize * RECORD.itemsize]
