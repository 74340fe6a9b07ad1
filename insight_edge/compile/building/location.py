# SPDX-License-Identifier: Apache-2.0
"""The seam of where a build runs: in a child process here, or on a machine that has what it needs.

A location takes a job and an empty directory and leaves an artifact in it; the
rest of a compilation does not know where it came from. `compile.remote.spool` is one
that hands jobs to another machine through a folder.
"""

import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import BuildLimits, BuildOutcome
from insight_edge.compile.job import BuildJob
from insight_edge.compile.toolchains.toolchain import Toolchain


class BuildLocation(Protocol):
    """Where a build runs."""

    def build(
        self,
        job: BuildJob,
        directory: Path,
        *,
        limits: BuildLimits | None = None,
        stop: threading.Event | None = None,
    ) -> BuildOutcome:
        """Build a job and return what became of it; a built artifact lies in the directory.

        Args:
            job: what to build; its paths are absolute.
            directory: new or empty.
            limits: beyond which the build has failed.
            stop: once set, the build has failed.

        Raises:
            StorageError: the disk is full or cannot be written.
            ValueError: the directory is not empty.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Here:
    """A child process of this one.

    Attributes:
        python: interpreter of the environment that has the toolchain.
    """

    python: str = sys.executable

    def build(
        self,
        job: BuildJob,
        directory: Path,
        *,
        limits: BuildLimits | None = None,
        stop: threading.Event | None = None,
    ) -> BuildOutcome:
        """Build in a child process; see `compile.building.build`."""
        return build(job, directory, limits=limits, python=self.python, stop=stop)


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the builds of one backend run, and what with.

    Attributes:
        toolchain: there.
        location: None for a child process here.
    """

    toolchain: Toolchain
    location: BuildLocation | None = None
