# SPDX-License-Identifier: Apache-2.0
"""Backends that go wrong in one way each; a build's child process imports them by name."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from insight_edge.compile.job import Artifact, BuildJob

PLUGIN = "tests.fakes.build_backends"
ARTIFACT = Artifact(entry="a.bin", files=("a.bin",))


class Good:
    def build(self, job: BuildJob, directory: Path) -> Artifact:
        (directory / "a.bin").write_bytes(job.target.token.encode())
        sys.stdout.write("\x1b[31mprogress\x1b[0m\r\n")
        return ARTIFACT


class Carried:
    """Writes down what is in the files that its job names."""

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        files = (job.model, job.original, job.calibration)
        found = b" ".join(Path(one).read_bytes() for one in files if one is not None)
        (directory / "a.bin").write_bytes(found)
        return ARTIFACT


class Learning:
    """Writes down how often it has built before, as far as it could keep that."""

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        times = 0
        if job.shared is not None:
            kept = Path(job.shared) / "times"
            kept.parent.mkdir(parents=True, exist_ok=True)
            times = int(kept.read_text()) if kept.exists() else 0
            kept.write_text(str(times + 1))
        (directory / "a.bin").write_text(str(times))
        return ARTIFACT


class Placed:
    """Writes down the processors that it may run on."""

    def build(self, job: BuildJob, directory: Path) -> Artifact:  # noqa: ARG002
        cpus = sorted(os.sched_getaffinity(0))
        (directory / "a.bin").write_text(" ".join(map(str, cpus)))
        return ARTIFACT


class Meeting:
    """Builds once another build of the same job has started, too."""

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        place = Path(job.target.options["place"])
        (place / str(os.getpid())).touch()
        while len(list(place.iterdir())) < 2:
            time.sleep(0.01)
        return Good().build(job, directory)


class Segfaulting:
    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError


class Killed:
    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Hanging:
    """Starts a child of its own in a session of its own, tells both numbers, and waits."""

    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        if "fifo" in job.target.options:
            Path(job.target.options["fifo"]).write_text(f"{os.getpid()} {sleeper.pid}")
        while True:
            signal.pause()


class Hoarding:
    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        hoard = []
        while True:
            hoard.append(b"x" * 2**24)


class LeavingNothing:
    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        os._exit(0)


class Promising:
    def build(self, job: BuildJob, directory: Path) -> Artifact:  # noqa: ARG002
        return ARTIFACT


class LeavingAnEmptyFile:
    def build(self, job: BuildJob, directory: Path) -> Artifact:  # noqa: ARG002
        (directory / "a.bin").touch()
        return ARTIFACT


class Linking:
    def build(self, job: BuildJob, directory: Path) -> Artifact:  # noqa: ARG002
        (directory / "a.bin").symlink_to(sys.executable)
        return ARTIFACT


class Escaping:
    def build(self, job: BuildJob, directory: Path) -> Artifact:  # noqa: ARG002
        (directory.parent / "b.bin").write_bytes(b"b")
        return Artifact(entry="../b.bin", files=("../b.bin",))


class Misnaming:
    def build(self, job: BuildJob, directory: Path) -> Artifact:  # noqa: ARG002
        (directory / "a.bin").write_bytes(b"a")
        return Artifact(entry="other.bin", files=("a.bin",))


class Raising:
    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        raise RuntimeError("this operator is not known")


class Straying:
    """Makes temporary directories, one as a library would, writes half an artifact, gives up."""

    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        with (
            tempfile.TemporaryDirectory() as one,
            tempfile.TemporaryDirectory(prefix="quant.") as b,
        ):
            (Path(one) / "simplified.onnx").write_bytes(b"onnx")
            (Path(b) / "ranges.json").write_bytes(b"{}")
            (directory / "half.bin").write_bytes(b"half")
            raise RuntimeError("gave up half-way")


class WritingTooMuch:
    def build(self, job: BuildJob, directory: Path) -> Artifact:  # noqa: ARG002
        with (directory / "a.bin").open("wb") as file:
            for _ in range(64):
                file.write(b"x" * 2**20)
        return ARTIFACT


class WritingTwice:
    def build(self, job: BuildJob, directory: Path) -> Artifact:  # noqa: ARG002
        for name in ("a.bin", "b.bin"):
            (directory / name).write_bytes(b"x" * 2**20)
        return Artifact(entry="a.bin", files=("a.bin", "b.bin"))


class MeetingAFullDisk:
    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        cause = OSError(errno.ENOSPC, "No space left on device")
        raise RuntimeError("could not save") from cause


class MeetingAFullDiskLater:
    """Meets it once a file that another build writes is there, and whole."""

    def build(self, job: BuildJob, directory: Path) -> NoReturn:
        other = Path(job.target.options["after"])
        while not (other.exists() and other.read_text().count(" ")):
            time.sleep(0.01)
        MeetingAFullDisk().build(job, directory)


class HidingAFullDisk:
    """Fills the disk it is on and says something else, as native toolchains do."""

    def build(self, job: BuildJob, directory: Path) -> NoReturn:  # noqa: ARG002
        with suppress(OSError), (directory / "a.bin").open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        raise RuntimeError("serialisation failed")
