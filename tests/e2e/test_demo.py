# SPDX-License-Identifier: Apache-2.0
"""The verb `demo` at its door; `test_chaos` tells the story, in miniature and under kills."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.toml"], "none.toml: no such file"),
        ([f"{ROOT}/examples/train.toml", "--shift", "nois"], "there is no shift 'nois'"),
        ([f"{ROOT}/examples/train.toml", "--kill-each", "often"], "often"),
    ],
)
def test_mistake_is_a_line_and_touches_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    program = str(Path(sys.executable).with_name("insight-cloud"))
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "kept").touch()
    command = [program, "demo", *words, "--directory", str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "kept").exists()
