# SPDX-License-Identifier: Apache-2.0
"""The commands of the compiler's guides work, in the order in which they are told."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from insight_edge.cli.main import VERBS
from tests.fakes.onnx_models import conv_model, words_model
from tests.fakes.pictures import photographs

pytestmark = pytest.mark.slow

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
TOKENIZER = Path(__file__).parents[1] / "unit/transforms/data/wordpiece.json"
NAMES = ("checking-a-model", "looking-inside", "timing-on-the-board", "transforms")


def commands(name: str) -> str:
    text = (GUIDES / f"{name}.md").read_text()
    return "".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    onnx.save(conv_model(), tmp_path / "model.onnx")
    rows = np.random.default_rng(0).normal(size=(400, 3, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=rows)
    onnx.save(words_model(), tmp_path / "words.onnx")
    shutil.copy(TOKENIZER, tmp_path / "tokenizer.json")
    (tmp_path / "photos").mkdir()
    for number, photo in enumerate(photographs(400)):
        (tmp_path / "photos" / f"{number:03}.png").write_bytes(photo)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_guide_works(name: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", commands(name)],
        cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_guides_tell_all_verbs_that_look_into_a_compilation() -> None:
    told = set(re.findall(r"^insight-edge (\S+)", "".join(map(commands, NAMES)), re.MULTILINE))
    assert told >= {"check", "compile", "inspect", "profiles", "verify"}
    assert told <= set(VERBS)
