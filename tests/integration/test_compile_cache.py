# SPDX-License-Identifier: Apache-2.0
"""The verb `compile` with a cache: what it takes from there, why not, and what it leaves behind."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.fakes.programs import Finished, insight_edge
from tests.fakes.sources import table_model, table_rows

FLAGS = (
    "--profile", "here.toml", "--calibration", "rows.npz", "--target", "onnxruntime:fp32",
    "--rounds", "5", "--cache", "kept", "--explain-miss",
)  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, here: Path) -> Path:
    onnx.save(table_model(), tmp_path / "table.onnx")
    np.savez(tmp_path / "rows.npz", x=table_rows(400))
    (tmp_path / "here.toml").write_text(here.read_text())
    return tmp_path


def compile_(place: Path, *arguments: str) -> Finished:
    done = insight_edge("compile", "-m", "table.onnx", *FLAGS, *arguments, "-o", "b", cwd=place)
    assert done.returncode == 0, done.stderr
    return done


def told(done: Finished) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("onnxruntime:fp32: ")]


def test_second_compilation_is_a_hit_whatever_the_profile_costs_or_is_called(place: Path) -> None:
    assert told(compile_(place)) == ["onnxruntime:fp32: miss: nothing is kept here"]
    profile = place / "here.toml"
    text = profile.read_text().replace('id = "here"', 'id = "there"')
    profile.write_text(text + "\n[limits]\nlatency_p50_ms = 100.0\n")
    assert told(compile_(place)) == ["onnxruntime:fp32: hit"]


def test_model_that_changed_is_a_miss_and_says_so(place: Path) -> None:
    compile_(place)
    onnx.save(table_model(classes=4), place / "table.onnx")
    done = compile_(place, "--format", "json")
    assert told(done) == ["onnxruntime:fp32: miss: no build of this model is kept here"]
    (trial,) = json.loads(done.stdout)
    assert trial["kept"] == {"state": "miss", "why": ["no build of this model is kept here"]}


def test_everything_made_on_the_way_is_kept(place: Path) -> None:
    compile_(place)
    assert told(compile_(place, "--keep", "look")) == [
        "onnxruntime:fp32: built anew: what it leaves behind is to be kept"
    ]
    (folder,) = (place / "look").iterdir()
    assert (folder / "onnxruntime-fp32" / "artifact" / "onnxruntime-fp32.onnx").is_file()
    assert (folder / "onnxruntime-fp32" / "build.log").is_file()
    assert (folder / "drafts" / "onnxruntime-fp32" / "manifest.json").is_file()
    assert (folder / "question.npz").is_file()
    assert len(list(folder.glob("*.onnx"))) == 1
    again = insight_edge(
        "compile", "-m", "table.onnx", *FLAGS, "--keep", "look", "-o", "b", cwd=place
    )
    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_misses_cannot_be_explained_without_a_cache(place: Path) -> None:
    flags = [flag for flag in FLAGS if flag not in {"--cache", "kept"}]
    done = insight_edge("compile", "-m", "table.onnx", *flags, "-o", "b", cwd=place)
    assert done.returncode == 2
    assert "--cache DIRECTORY" in done.stderr
