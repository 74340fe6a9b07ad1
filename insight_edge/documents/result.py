# SPDX-License-Identifier: Apache-2.0
"""The result of one measurement with its raw samples: a line of a result file.

What was timed, on which machine, and every latency that was kept, so that whoever
has the file can compare and judge again. This module times nothing and opens no file.
"""

from collections.abc import Sequence

from insight_edge.documents.codec import Versioned, digest
from insight_edge.documents.evidence import Measurement
from insight_edge.documents.facts import Facts
from insight_edge.documents.manifest import FileEntry, ModelInfo
from insight_edge.documents.target import Target


class BenchResult(Versioned, frozen=True, kw_only=True):
    """One variant of a bundle, timed on one machine.

    Attributes:
        run: random; results of one run were timed in turn, round by round, so that their rounds
            may be compared in pairs.
        at_s: seconds since the epoch, when it ended.
        release: of insight-edge.
        device: its name in a fleet, `local` where there is none.
        host: the machine.
        packages: versions of the environment that the engine ran in.
        profile: id of the hardware profile that the bundle was built for.
        bundle: digest of its manifest.
        variant: its name in the bundle.
        cpus: processors that it was pinned to; none means any.
        artifact: digest of its files (`artifact_digest`), the same in every bundle that has them.
        measurement: what the rounds say.
        rounds_p50_ms: median of each round.
        samples_ms: latencies by round, in the order in which they were taken; where not all are
            kept, every round is thinned evenly.
    """

    run: str
    at_s: float
    release: str
    device: str = "local"
    host: Facts
    packages: dict[str, str] = {}
    profile: str
    model: ModelInfo
    bundle: str
    variant: str
    target: Target
    cpus: tuple[int, ...] = ()
    artifact: str
    measurement: Measurement
    rounds_p50_ms: tuple[float, ...]
    samples_ms: tuple[tuple[float, ...], ...] = ()


def artifact_digest(files: Sequence[FileEntry]) -> str:
    """Return the digest that names an artifact: of its files' names and contents, in any order."""
    lines = sorted(f"{entry.sha256}  {entry.path}\n" for entry in files)
    return digest("".join(lines).encode())
