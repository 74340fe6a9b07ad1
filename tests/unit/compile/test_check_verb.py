# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from insight_edge.cli.main import build_app, run
from insight_edge.documents.codec import from_plain
from insight_edge.documents.workload import Workload
from tests.fakes.onnx_models import conv_model

PROFILE = """
format = 1
id = "{id}"
name = "A box"
cpu = {{ arch = "x86_64", model = {{ value = "c", source = "s" }}, isa = {{ value = ["avx2"], \
source = "s" }}, cores = {{ value = 2, source = "s" }} }}
dram = {{ length_bytes = {{ value = 4294967296, source = "s" }} }}
engines = {engines}
sources = {{ s = {{ address = "https://example.org", date = "2026-01-01" }} }}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "m.onnx").write_bytes(conv_model().SerializeToString())
    return tmp_path / "m.onnx"


def profile(tmp_path: Path, name: str, engines: str) -> str:
    (tmp_path / f"{name}.toml").write_text(PROFILE.format(id=name, engines=engines))
    return str(tmp_path / f"{name}.toml")


def check(*arguments: object) -> int:
    return run(build_app(), ["check", *map(str, arguments)])


def test_json_holds_the_workload_and_a_reason_for_each_target_not_built(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = profile(tmp_path, "one", '{ onnxruntime = { precisions = ["fp32"] } }')
    two = profile(tmp_path, "two", '{ openvino = { precisions = ["int8"] } }')
    assert check(model, "--profile", one, "--profile", two, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert from_plain(Workload, found["workload"]).opset == 18
    built = [(r["profile"], r["target"]) for r in found["targets"] if r["build"] == "yes"]
    assert built == [("one", "onnxruntime:fp32"), ("two", "openvino:int8")]
    assert all(row["why not"] for row in found["targets"] if row["build"] == "no")


def test_all_shipped_profiles_are_the_default(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(model, "--format", "csv") == 0
    assert capsys.readouterr().out.count("\n") > 40


def test_nothing_to_build_exits_1(model: Path, tmp_path: Path) -> None:
    none = profile(tmp_path, "none", '{ coral = { precisions = ["fp32"] } }')
    assert check("-m", model, "--profile", none) == 1


def test_bad_model_exits_2_with_one_line_and_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.mlmodel").touch()
    assert check(tmp_path / "m.mlmodel") == 2
    shown = capsys.readouterr()
    assert shown.out == ""


def test_table_shows_figures_of_the_workload(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = profile(tmp_path, "one", '{ onnxruntime = { precisions = ["fp32"] } }')
    assert check(model, "--profile", one, "--format", "md") == 0
    assert "| arithmetic | 0.828 MFLOP |" in capsys.readouterr().out
