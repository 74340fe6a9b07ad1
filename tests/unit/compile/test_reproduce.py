# SPDX-License-Identifier: Apache-2.0
"""The command that compiles again is one that the program understands."""

import shlex
from pathlib import Path

import pytest

from insight_edge.compile.reproduce import reproduce_command
from tests.fakes.hardware import profile_of

MODEL, SAMPLES, OUTPUT = Path("my model.onnx"), Path("rows;rm.npz"), Path("a b/$HOME")


@pytest.mark.parametrize(
    ("samples", "max_drop_pp", "flags"),
    [
        (None, None, []),
        (SAMPLES, None, ["--calibration", "rows;rm.npz"]),
        (SAMPLES, 0.25, ["--calibration", "rows;rm.npz", "--max-drop", "0.25"]),
    ],
)
def test_command_says_everything_and_survives_a_shell(
    samples: Path | None, max_drop_pp: float | None, flags: list[str]
) -> None:
    command = reproduce_command(MODEL, profile_of(), OUTPUT, samples, max_drop_pp)
    begin = ["insight-edge", "compile", "-m", "my model.onnx", "--profile", "box"]
    assert shlex.split(command) == [*begin, *flags, "-o", "a b/$HOME"]
