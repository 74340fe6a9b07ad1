# SPDX-License-Identifier: Apache-2.0
"""A worker that judges, as `python -m tests.fakes.monitor FOLDER gated|free`.

It says `ready` and waits for a line. Gated, it then waits for a line before and after
each of its commits, so that it can be killed at either.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from insight_cloud.platform.database import Database, open_database
from tests.fakes.monitored import monitored

ROOT = Path(__file__).parents[2]


def start_monitor(folder: Path, how: str) -> subprocess.Popen[str]:
    """Return a process that is ready."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.monitor", str(folder), how],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def allow(child: subprocess.Popen[str], steps: int) -> None:
    """Let a process go on past so many of its stops, and wait until it stands at the next."""
    assert child.stdin is not None
    assert child.stdout is not None
    for _ in range(steps):
        child.stdin.write("go\n")
        child.stdin.flush()
        child.stdout.readline()


def _stop(where: str) -> None:
    sys.stdout.write(f"{where}\n")
    sys.stdout.flush()
    sys.stdin.readline()


class _Gated(Database):
    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            yield session
            _stop("before")
        _stop("after")


def main(folder: Path, how: str) -> None:
    database = open_database(folder / "cloud.sqlite")
    if how == "gated":
        database.__class__ = _Gated
    world = monitored(database, folder)
    _stop("ready")
    world.judge()
    database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
