# SPDX-License-Identifier: Apache-2.0
"""The program answers on the barest machine, and a mistake is one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from insight_edge.cli.main import VERBS

EDGE = Path(sys.executable).with_name("insight-edge")


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EDGE, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", [[], *([name] for name in VERBS)], ids=" ".join)
def test_help_exits_0_on_a_device_that_has_no_compiler(verb: list[str]) -> None:
    python = Path(sys.prefix) / "environments" / "device-onnxruntime" / "bin" / "python"
    code = "from insight_edge.cli.main import main; main()"
    done = subprocess.run(
        [python, "-c", code, *verb, "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["benhc"], "benhc"),
        (["bench", "--iteratons", "3"], "iteratons"),
        (["compile"], "model"),
        (["inspect", "no-such-bundle"], "no-such-bundle"),
    ],
)
def test_mistake_is_one_line_a_hint_and_exit_2(arguments: list[str], said: str) -> None:
    done = call(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("error:")
    assert said in lines[0]
    assert len(lines) <= 2
    assert "Traceback" not in done.stderr
