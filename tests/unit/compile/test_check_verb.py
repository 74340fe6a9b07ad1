# SPDX-License-Identifier: Apache-2.0
"""The verb `check`: what it says, and what it exits with."""

import json
from pathlib import Path

import pytest
from onnx import ModelProto, helper

from insight_edge.cli import screen
from insight_edge.cli.main import build_app, run
from insight_edge.documents.codec import from_plain
from insight_edge.documents.workload import Workload
from tests.fakes.onnx_models import conv_model, model_of, value, weights_of

ENGINES = '{ onnxruntime = { precisions = ["fp32", "int8"] } }'

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


def det_model() -> ModelProto:
    """A convolution and a determinant."""
    return model_of(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("Det", ["c"], ["d"], name="volume"),
        ],
        [value("x", ("batch", 3, 6, 6))],
        [value("d", ("batch", 2))],
        weights_of(0, w=(2, 3, 3, 3)),
    )


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


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    """Return the rows of JSON by target."""
    found = json.loads(capsys.readouterr().out)
    return {row["target"]: row for row in found["targets"]}


def limited(tmp_path: Path, name: str, limits: str, engines: str = ENGINES) -> str:
    path = Path(profile(tmp_path, name, engines))
    path.write_text(f"{path.read_text()}limits = {{ {limits} }}\n")
    return str(path)


def test_profile_that_nothing_fits_exits_1_and_is_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roomy = limited(tmp_path, "roomy", "memory_bytes = 1073741824")
    tight = limited(tmp_path, "tight", "memory_bytes = 1048576")
    assert check(model, "--profile", roomy, "--profile", tight) == 1
    told = capsys.readouterr()
    assert "fits tight" in told.err
    assert "What to change" in told.out
    assert "fewer weights" in told.out or "reduce activations" in told.out


def test_sizes_and_bound_are_told_and_a_bound_over_the_limit_fails(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Path(limited(tmp_path, "slow", "latency_p50_ms = 1.0"))
    slow.write_text(
        f'{slow.read_text()}peak_ops_per_s = {{ fp32 = {{ value = 1e6, source = "s" }} }}\n'
    )
    only = ("--profile", slow, "--target", "onnxruntime:fp32")
    assert check(model, *only, "--format", "json") == 1
    row = shown(capsys)["onnxruntime:fp32"]
    assert row["fits"] == "no"
    assert row["latency_kind"] == "bound"
    assert row["latency_ms"] == pytest.approx(828, rel=0.01)
    assert "bound" in str(row["why not"])
    assert "do less" in str(row["change"])
    assert int(str(row["memory_bytes"])) > int(str(row["artifact_bytes"])) > 2**20


def test_without_figures_there_is_no_bound(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = profile(tmp_path, "one", ENGINES)
    assert check(model, "--profile", one, "--format", "json") == 0
    row = shown(capsys)["onnxruntime:fp32"]
    assert (row["latency_ms"], row["latency_kind"], row["fits"]) == (None, None, "yes")


def test_operator_without_counterpart_is_named_with_its_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "det.onnx").write_bytes(det_model().SerializeToString())
    one = profile(tmp_path, "one", '{ openvino = { precisions = ["fp32"] } }')
    assert check(tmp_path / "det.onnx", "--profile", one, "--format", "json") == 1
    row = shown(capsys)["openvino:fp32"]
    assert row["why not"] == "has no conversion rule for Det"
    assert row["change"] == "replace Det (node 'volume')"


def test_target_filter_is_obeyed_and_checked(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = profile(tmp_path, "one", ENGINES)
    only = ("--profile", one, "--target", "onnxruntime:int8")
    assert check(model, *only, "--format", "csv") == 0
    assert capsys.readouterr().out.count("\n") == 2
    assert check(model, "--profile", one, "--target", "onnxruntime:int9") == 2
    assert check(model, "--profile", one, "--target", "onnxruntimes:fp32") == 2
    assert "did you mean" in capsys.readouterr().err


def test_toolchain_that_is_not_installed_exits_4(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = profile(tmp_path, "one", '{ tvm = { precisions = ["fp32"] } }')
    monkeypatch.setenv("PATH", "")  # where its linker is looked for
    assert check(model, "--profile", one) == 4
    none = profile(tmp_path, "none", '{ coral = { precisions = ["fp32"] } }')
    assert check(model, "--profile", one, "--profile", none) == 1


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x08" * 400])
def test_unreadable_model_exits_2(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    assert check(tmp_path / "m.onnx") == 2


def test_profile_that_does_not_exist_exits_2(model: Path) -> None:
    assert check(model, "--profile", "rpi5-8gbb") == 2


def test_lines_stay_within_100_columns(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen.out, "_width", 100)
    assert check(model) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum("rpi5-8gb" in line for line in lines) == 1
    assert check(model, "--all") == 0
    assert sum("rpi5-8gb" in line for line in capsys.readouterr().out.splitlines()) > 2
