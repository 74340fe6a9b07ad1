# SPDX-License-Identifier: Apache-2.0
"""The programs as a user starts them: child processes with their own directory."""

import os
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 300
Finished = subprocess.CompletedProcess[str]


def program(name: str) -> str:
    """Return the path of an installed program."""
    return str(Path(sys.executable).with_name(name))


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
