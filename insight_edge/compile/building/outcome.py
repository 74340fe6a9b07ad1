# SPDX-License-Identifier: Apache-2.0
"""What one build may take, and what became of it."""

from dataclasses import dataclass
from pathlib import Path

from insight_edge.compile.job import Artifact
from insight_edge.documents.manifest import FileEntry

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class BuildLimits:
    """Beyond these a build is killed.

    Attributes:
        wall_s: an untuned build takes seconds.
        memory_bytes: resident, of the child and all that it started.
        artifact_bytes: of the artifact, and of any one file that the child writes.
    """

    wall_s: float = 900.0
    memory_bytes: int = 8 * GIB
    artifact_bytes: int = 2 * GIB


@dataclass(frozen=True, kw_only=True)
class Built:
    """A build that left an artifact.

    Attributes:
        files: with digests; they lie in `directory` under these names.
        peak_rss_bytes: of the child and all that it started, as far as it was seen.
        log: the last lines.
        cached: it was built earlier; the figures are of then.
    """

    artifact: Artifact
    files: tuple[FileEntry, ...]
    directory: Path
    build_s: float
    peak_rss_bytes: int
    log: str
    cached: bool = False

    @property
    def artifact_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.length_bytes for entry in self.files)


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A build that left none, and why in one line."""

    reason: str
    build_s: float
    peak_rss_bytes: int
    log: str


BuildOutcome = Built | Failed
