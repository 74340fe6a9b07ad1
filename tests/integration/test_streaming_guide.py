# SPDX-License-Identifier: Apache-2.0
"""docs/guides/streaming.md works, its bundle real ONNX, its commands a user's."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.matrix import random_matrix, write_matrix_bundle
from tests.fakes.programs import program
from tests.integration.test_runtime_challenger import onnx_bytes

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "streaming.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def write_model(place: Path) -> None:
    matrix = random_matrix(0)
    artifact = onnx_bytes(matrix, is_wrong=False)
    write_matrix_bundle(place / "model.bundle", matrix, backend="onnxruntime", artifact=artifact)


def test_run_that_is_told_to_end_says_what_became_of_all_rows(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.json").write_text("[1, 1, 1, 1, 1, 1, 1, 1]")
    command = [program("insight-edge"), "run", "model.bundle", "--source", "folder:in?after=delete"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        keys = [json.loads(run.stdout.readline())["key"] for _ in range(3)]
        run.send_signal(signal.SIGTERM)
        rest, said = run.communicate(timeout=30)
    assert (run.returncode, rest, keys) == (0, "", ["0.json", "1.json", "2.json"])
    assert "3 rows read, 3 answered, 0 failed; 0 dropped (block), 0 left" in said
    assert not any((tmp_path / "in").iterdir())


def test_guide_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "".join(blocks("sh"))],
        cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert "3 rows read, 2 answered, 1 failed; 0 dropped (block), 0 left;" in done.stderr
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert {answer["key"] for answer in answers} == {"first.json", "second.json"}
    monkeypatch.chdir(tmp_path)
    for block in blocks("python"):
        exec(block, {})  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert "rows.jsonl:2 input 'x': expected float32 (batch, 8), found (1, 1)" in said
    assert "Statistics(offered=3, " in said
