# SPDX-License-Identifier: Apache-2.0
"""What TensorRT timed on a GPU: kept from build to build, pinned by its digest.

Which kernels a plan is made of follows from these times. Whoever builds a model
again from the pinned ones gets the kernels that it had; a model that shares layers
with it, those of the layers. Only the release and the kind of GPU that they were
taken with are given them. What is timed, and how, is TensorRT's.
"""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from insight_edge.bundle.durable import replace_file
from insight_edge.documents.codec import digest

PIN = "pinned"
SUFFIX = ".timings"


@dataclass(kw_only=True)
class Lent:
    """Times that a build works with.

    Attributes:
        file: holds the pinned ones, or is not there; the build leaves there what it then knows.
        digest: of what was pinned afterwards; None until then, and where the build left nothing.
    """

    file: Path
    digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class Timings:
    """The times of one kind of GPU with one release.

    Attributes:
        folder: of these alone; made when it is first used.
    """

    folder: Path

    @contextmanager
    def lent(self) -> Iterator[Lent]:
        """Lend the pinned times to a build and pin what it leaves, unless it raises.

        Other builds wait meanwhile: two that time kernels on one GPU disturb each other.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock, TemporaryDirectory() as scratch:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lent = Lent(file=Path(scratch) / "timings")
            known = self._pinned()
            if known:
                lent.file.write_bytes(known)
            yield lent
            if lent.file.exists():
                lent.digest = self._pin(lent.file.read_bytes())

    def _pinned(self) -> bytes:
        """Return the pinned times; none where they are not what their digest says."""
        try:
            name = (self.folder / PIN).read_text(encoding="ascii", errors="replace").strip()
            timings = self._file(name).read_bytes()
        except FileNotFoundError:
            return b""
        if digest(timings) == name:
            return timings
        sys.stdout.write(f"timings {name} are damaged, timing anew\n")
        return b""

    def _pin(self, timings: bytes) -> str:
        """Pin these times and forget the others; a crash on the way leaves the old pin whole."""
        name = digest(timings)
        replace_file(self._file(name), timings)
        replace_file(self.folder / PIN, name.encode())
        for other in self.folder.glob(f"*{SUFFIX}"):
            if other != self._file(name):
                other.unlink()
        return name

    def _file(self, name: str) -> Path:
        return self.folder / f"{name.removeprefix('sha256:')}{SUFFIX}"
