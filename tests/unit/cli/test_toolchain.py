# SPDX-License-Identifier: Apache-2.0
"""The verb `toolchain`: what is installed, and a name that nobody knows."""

import json
import sys
from pathlib import Path

import pytest

from insight_edge.cli.main import build_app, run
from insight_edge.compile.toolchains.environments import environment_names


@pytest.mark.parametrize("installed", [True, False])
def test_list_says_of_each_environment_whether_it_is_there(
    installed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not installed:
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert run(build_app(), ["toolchain", "list", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    found = {row["environment"]: row["installed"] for row in rows}
    assert tuple(found) == environment_names()
    device = {found["device-onnxruntime"], found["device-openvino"]}
    assert device == {"yes" if installed else "no"}
    assert installed or set(found.values()) == {"no"}


def test_environment_that_is_there_is_not_installed_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(build_app(), ["toolchain", "install", "device-onnxruntime"]) == 0
    assert capsys.readouterr().err == "device-onnxruntime: already installed\n"


def test_name_without_a_lock_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["toolchain", "install", "device-onnx"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert "no lock is named 'device-onnx'" in error
    assert "device-onnxruntime" in hint
