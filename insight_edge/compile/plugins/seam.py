# SPDX-License-Identifier: Apache-2.0
"""The two seams of the workshop: what reads source models, and what compiles them.

A plug-in does one thing and may raise anything: `compile.sources.source` and
`compile.building.build` check, limit, time and wrap, once, for all of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import Accelerator, HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.selection.footprint import Footprint

SCAN = "sensitivity"
"""Option of a target whose build writes a `Sensitivity` instead of an artifact."""

MIXED = "mixed"
LEFT_OUT = "left_out"
"""Options of a target that leaves the operators named in the second in floating point."""

TUNING = "tuning_s"
"""Option of a target: seconds that its build looks for faster code."""


class Importer(Protocol):
    """Reads the files of one framework; found by entry point `insight_edge.importers`.

    Constructing one imports nothing heavy.
    """

    def accepts(self, path: Path) -> bool:
        """Return whether the file is of its framework.

        Judged by the name, and by a look at what is there where several frameworks share a name;
        never by loading it. Never raises.
        """
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
        """Return why the target is not worth building from this model for this profile.

        A `compile.refusals.refusal.Refusal` also says what to change in the model.
        """
        ...

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact's files into an empty directory; runs in a child process.

        The same job gives the same bytes in a new process, as far as the toolchain allows.
        """
        ...


@runtime_checkable
class ForAccelerators(Protocol):
    """What a backend is besides, whose artifacts run on an accelerator and never on the CPU.

    What it builds cannot be executed on a machine without that accelerator.
    """

    def accelerator(self, profile: HardwareProfile) -> Accelerator | None:
        """Return the accelerator of the profile that it builds for, None where there is none."""
        ...

    def built_for(self, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Return the compute capabilities that an artifact with these settings was built for."""
        ...


@runtime_checkable
class Taking(Protocol):
    """What a backend also has that can take the file which a model was converted from.

    Its `build` then finds it in `BuildJob.original`.
    """

    def takes(self, form: str) -> bool:
        """Return whether it takes files of a form, the token of the importer that reads them."""
        ...


@runtime_checkable
class Weighed(Protocol):
    """What a backend also has that knows what its engine's process takes of memory."""

    def footprint(self, target: Target) -> Footprint | None:
        """Return what was measured with artifacts of a target, None where nothing was."""
        ...


@runtime_checkable
class Mending(Protocol):
    """What a backend also has whose INT8 can be repaired by leaving layers in floating point.

    Its `build` then obeys the options `SCAN` and `LEFT_OUT`.
    """

    def mends(self, target: Target) -> bool:
        """Return whether it can repair what it builds for this target."""
        ...


@runtime_checkable
class Sparing(Protocol):
    """What a backend also has some of whose targets are not worth a trial each time."""

    def only_if_asked(
        self, source: SourceModel, target: Target, profile: HardwareProfile
    ) -> str | None:
        """Return why a target is built only where it is asked for by name, or None."""
        ...


@runtime_checkable
class Tuning(Protocol):
    """What a backend also has whose artifacts get faster the longer a build takes.

    Its `build` then obeys the option `TUNING`.
    """

    def tunes(self, target: Target) -> bool:
        """Return whether it can tune what it builds for this target."""
        ...
