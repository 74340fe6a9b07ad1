# SPDX-License-Identifier: Apache-2.0
"""Call the programs that a user has, from the same environment."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from insight_edge.errors import InsightEdgeError

BIN = Path(sys.executable).parent


class ProgramError(InsightEdgeError):
    """A program of the demo failed; what it said stands above."""


def call(program: str, *arguments: object) -> None:
    """Run a program with its output on the terminal.

    Raises:
        ProgramError: it exited with anything but 0.
    """
    done = subprocess.run([str(BIN / program), *map(str, arguments)], check=False)
    _refuse(program, arguments, done.returncode)


def output_of(program: str, *arguments: object) -> str:
    """Return what a program prints.

    Raises:
        ProgramError: it exited with anything but 0.
    """
    command = [str(BIN / program), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    _refuse(program, arguments, done.returncode)
    return done.stdout


def call_json(program: str, *arguments: object) -> Any:
    """Return what a program prints with `--format json`.

    Raises:
        ProgramError: it exited with anything but 0.
    """
    return json.loads(output_of(program, *arguments, "--format", "json"))


def _refuse(program: str, arguments: tuple[object, ...], code: int) -> None:
    if code:
        said = " ".join(map(str, (program, *arguments)))
        raise ProgramError(f"exit code {code}: {said}")
