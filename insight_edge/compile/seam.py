# SPDX-License-Identifier: Apache-2.0
"""The two seams of the workshop: what reads source models, and what compiles them.

A plug-in does one thing and may raise anything: `compile.source` and
`compile.build` check, limit, time and wrap, once, for all of them.
"""

from pathlib import Path
from typing import Protocol

from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.source import SourceModel
from insight_edge.compile.toolchain import Toolchain
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target


class Importer(Protocol):
    """Reads the files of one framework; found by entry point `insight_edge.importers`.

    Constructing one imports nothing heavy.
    """

    def accepts(self, path: Path) -> bool:
        """Return whether the file is of its framework, judging by the name alone."""
        ...

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:
        """Return the model in ONNX, shown to answer like the original.

        `trust_pickle` says that code in the file may run.
        """
        ...


class Backend(Protocol):
    """Compiles for one engine, whose token it shares; found by `insight_edge.backends`.

    Constructing one, and all but `build`, import nothing heavy.
    """

    def toolchain(self) -> Toolchain | Missing:
        """Return where builds run and the versions they depend on, or what is not installed."""
        ...

    def targets(self) -> tuple[Target, ...]:
        """Return every target that it has something to offer for."""
        ...

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:
        """Return why the target is not worth building from this model for this profile."""
        ...

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact's files into an empty directory; runs in a child process.

        The same job gives the same bytes in a new process, as far as the toolchain allows.
        """
        ...
