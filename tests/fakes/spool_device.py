# SPDX-License-Identifier: Apache-2.0
"""A process in the role of a device: a builder that does one job, and may lie about it.

`python -m tests.fakes.spool_device FOLDER LIE`
"""

import dataclasses
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from insight_edge.compile.building.location import Here
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome, Built
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.remote.builder import Builder


def other_bytes(built: Built) -> Built:
    (built.directory / "a.bin").write_bytes(b"x" * built.artifact_bytes)
    return built


def more_bytes(built: Built) -> Built:
    (built.directory / "a.bin").write_bytes(b"x" * (built.artifact_bytes + 1))
    return built


def other_name(built: Built) -> Built:
    return dataclasses.replace(built, artifact=Artifact(entry="b.bin", files=("b.bin",)))


def huge(built: Built) -> Built:
    files = (msgspec.structs.replace(built.files[0], length_bytes=2**40),)
    return dataclasses.replace(built, files=files)


LIES: dict[str, Callable[[Built], Built]] = {
    "": lambda built: built,
    "other bytes": other_bytes,
    "more bytes": more_bytes,
    "other name": other_name,
    "huge": huge,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lying:
    """Builds as it should, and says or leaves something else."""

    lie: str

    def build(
        self,
        job: BuildJob,
        directory: Path,
        *,
        limits: BuildLimits | None = None,
        stop: threading.Event | None = None,
    ) -> BuildOutcome:
        outcome = Here().build(job, directory, limits=limits, stop=stop)
        return LIES[self.lie](outcome) if isinstance(outcome, Built) else outcome


if __name__ == "__main__":
    Builder(folder=Path(sys.argv[1]), location=Lying(lie=sys.argv[2])).work(once=True)
