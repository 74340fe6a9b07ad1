# SPDX-License-Identifier: Apache-2.0
"""What the application asked and was answered, as arrays in a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.npz import npz_from_arrays


class Log(Protocol):
    """What one caller has written down."""

    asked: int
    image: list[int]
    started_ns: list[int]
    latency_ns: list[int]
    bundle: list[str]
    probabilities: list[NDArray[np.float32]]
    failures: list[str]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What the application asked and was answered; one entry an answer.

    Attributes:
        asked: calls made, answered or not.
        failures: what the calls that failed said.
        bundle: digest of the bundle that each answer claims to be from.
        image: index of the image asked about.
        started_ns, latency_ns: monotonic.
        probabilities: (answers, classes).
    """

    asked: int
    failures: tuple[str, ...]
    bundle: NDArray[np.str_]
    image: NDArray[np.int64]
    started_ns: NDArray[np.int64]
    latency_ns: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def dropped(self) -> int:
        """Calls that got no answer."""
        return self.asked - len(self.image)


def write_recording(path: Path, logs: Sequence[Log]) -> None:
    """Write what all callers wrote down."""
    data = npz_from_arrays({
        "asked": np.array([log.asked for log in logs]),
        "failures": np.array([text for log in logs for text in log.failures], np.str_),
        "bundle": np.array([digest for log in logs for digest in log.bundle], np.str_),
        "image": np.concatenate([log.image for log in logs]).astype(np.int64),
        "started_ns": np.concatenate([log.started_ns for log in logs]).astype(np.int64),
        "latency_ns": np.concatenate([log.latency_ns for log in logs]).astype(np.int64),
        "probabilities": np.concatenate([log.probabilities for log in logs]),
    })  # fmt: skip
    path.write_bytes(data)


def read_recording(path: Path) -> Recording:
    """Return what the application wrote."""
    with np.load(path, allow_pickle=False) as file:
        return Recording(
            asked=int(file["asked"].sum()),
            failures=tuple(str(text) for text in file["failures"]),
            **{
                name: file[name]
                for name in ("bundle", "image", "started_ns", "latency_ns", "probabilities")
            },
        )
