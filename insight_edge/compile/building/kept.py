# SPDX-License-Identifier: Apache-2.0
"""What a build leaves behind, for people who look into it: `compile --keep`.

    <digest>.onnx, calibration-<digest>.npz, question.npz
                                   the source model, the rows that calibrate, what was asked of it
                                   and answered
    drafts/<target>/               the bundle that an artifact was examined in
    <target>/job.json              what was asked of a build; a second of the same target has a 2
    <target>/build.log             all that the toolchain said
    <target>/artifact/             what it wrote, also where the build failed half-way
    <target>/artifact.json         what the backend said of it
    <target>/intermediates/N-name  its temporary directories, in the order they were made
    <target>/outcome.txt           what became of it

Toolchains and libraries make temporary directories of their own: in a build that
keeps, these are numbered and not removed (`compile.toolchains.temporary`). Nothing is read
back from here.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from insight_edge.bundle.durable import storing
from insight_edge.compile.building.outcome import BuildOutcome, Failed
from insight_edge.documents.target import Target
from insight_edge.errors import ConfigurationError


@contextmanager
def workplace(keep: Path | None) -> Iterator[Path]:
    """Yield an empty directory to compile in: `keep`, or one that is gone afterwards for None.

    Raises:
        ConfigurationError: something lies in `keep`.
        StorageError: it cannot be made.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="insight-edge-compile-") as folder:
            yield Path(folder)
        return
    with storing(keep):
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise ConfigurationError(
                f"{keep}: is not empty, and what is kept of two compilations would mix",
                hint="name a new directory",
            )
    try:
        yield keep.absolute()
    finally:
        # Builds that are kept nowhere else lie beside what is to be looked at.
        shutil.rmtree(keep / "cache", ignore_errors=True)


def traces_place(keep: Path, target: Target) -> Path:
    """Return a new directory for what a build of a target leaves: `name`, or `name-2` and so on.

    Raises:
        StorageError: it cannot be made.
    """
    name = target.token.replace(":", "-").replace("+", "-")
    numbers = count(2)
    place = keep / name
    with storing(keep):
        while place.exists():
            place = keep / f"{name}-{next(numbers)}"
        place.mkdir(parents=True)
    return place


def keep_traces(build: Path, place: Path, outcome: BuildOutcome) -> None:
    """Copy what a build left in its directory to an empty one; intermediates are moved.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with storing(place):
        place.mkdir(parents=True, exist_ok=True)
        for path in sorted(build.iterdir()):
            if path.name == "tmp":
                shutil.move(path, place / "intermediates")
            elif path.is_dir():
                shutil.copytree(path, place / path.name, symlinks=True)
            else:
                shutil.copyfile(path, place / path.name)
        (place / "outcome.txt").write_text(f"{_told(outcome)}\n")


def _told(outcome: BuildOutcome) -> str:
    if isinstance(outcome, Failed):
        return f"failed after {outcome.build_s:.1f} s: {outcome.reason}"
    return f"built in {outcome.build_s:.1f} s, {outcome.artifact_bytes} bytes"
