# SPDX-License-Identifier: Apache-2.0
"""The programs as a user starts them: child processes with their own directory."""

import os
import re
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 300
Finished = subprocess.CompletedProcess[str]

PROGRESS = re.compile(r"[\w-]+: (building |built |measuring |\S+ failed)")


def program(name: str) -> str:
    """Return the path of an installed program."""
    return str(Path(sys.executable).with_name(name))


def remarks(stderr: str) -> list[str]:
    """Return the lines of standard error, without those on how a compilation gets on."""
    return [line for line in stderr.splitlines() if not PROGRESS.match(line)]


def insight_edge(*arguments: str | Path, cwd: Path) -> Finished:
    return _call("insight-edge", arguments, cwd)


def insight_cloud(*arguments: str | Path, cwd: Path) -> Finished:
    return _call("insight-cloud", arguments, cwd)


def _call(name: str, arguments: tuple[str | Path, ...], cwd: Path) -> Finished:
    return subprocess.run(
        [program(name), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
