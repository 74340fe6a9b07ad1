# SPDX-License-Identifier: Apache-2.0
"""The main story: `make demo` with the programs a user has, from training to a swap under load."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_demo_keeps_its_promises(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("insight-cloud"))
    command = [program, "demo", f"{ROOT}/examples/train.toml", "--directory", f"{tmp_path}/demo"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "BROKEN" not in done.stdout
    assert len(re.findall(r"│ kept │", done.stdout)) == 9
    assert re.search(r"│ no inference dropped +│ +\d{3,} asked, 0 dropped │", done.stdout)


def test_demo_without_a_training_file_is_one_line(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("insight-cloud"))
    command = [program, "demo", f"{tmp_path}/none.toml", "--directory", f"{tmp_path}/demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
