# SPDX-License-Identifier: Apache-2.0
"""`predict` and `select` from end to end: what is said, in which form, and with which code."""

import csv
import json
import re
import shlex
import shutil
from io import StringIO
from pathlib import Path

import pytest

from insight_edge.cli.main import build_app, run
from tests.fakes.onnx_models import conv_model

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "choosing-hardware.md"
Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "conv.onnx"
    path.write_bytes(conv_model().SerializeToString())
    return str(path)


def call(*words: str) -> int:
    return run(build_app(), words)


def test_predict_says_what_each_figure_is(model: str, capsys: Said) -> None:
    asked = ["predict", "-m", model, "--profile", "rpi5-8gb", "--profile", "azure-b1ms"]
    assert call(*asked, "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    kinds = {row["profile"]: row["latency_kind"] for row in rows}
    assert kinds == {"rpi5-8gb": "predicted", "azure-b1ms": None}
    told = [row for row in rows if row["latency_kind"] == "predicted"]
    assert all(r["latency_low_ms"] < r["latency_p50_ms"] < r["latency_high_ms"] for r in told)
    assert all("datasheet only" in row["basis"] for row in told)


def test_select_names_a_device_in_every_form_and_draws_a_page(
    model: str, tmp_path: Path, capsys: Said
) -> None:
    asked = ["select", "-m", model, "--profile", "rpi5-8gb", "--profile", "orin-nano-8gb"]
    page, kept = tmp_path / "page.html", tmp_path / "choice.md"
    flags = ["--max-latency-ms", "50", "--devices", "100", "--energy-price", "0"]
    assert call(*asked, "--format", "csv", "--max-latency-ms", "50", "--html", str(page)) == 0
    rows = list(csv.DictReader(StringIO(capsys.readouterr().out)))
    assert {(row["profile"], row["form_factor"]) for row in rows} == {
        ("rpi5-8gb", "sbc"),
        ("orin-nano-8gb", "developer-kit"),
    }
    assert "</html>" in page.read_text()
    assert call(*asked, "--format", "md", "-o", str(kept), "--max-latency-ms", "50") == 0
    assert "rpi5-8gb" in kept.read_text()
    assert capsys.readouterr().out == ""
    assert call(*asked, *flags, "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["winner"]["profile"] == "orin-nano-8gb"  # the other's power is not known
    assert call(*asked, "--form-factor", "sbc", "--form-factor", "module", "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["winner"]["profile"] == "rpi5-8gb"
    assert said["demands"] == "form factor sbc or module"
    assert call(*asked, "--form-factor", "server") == 1
    assert "is sbc, asked is server" in capsys.readouterr().err
    assert call(*asked, "--form-factor", "toaster") == 2


def test_no_device_is_exit_1_with_the_nearest_miss(model: str, capsys: Said) -> None:
    asked = ["select", "-m", model, "--profile", "rpi5-8gb", "--max-price", "10"]
    assert call(*asked) == 1
    assert "price: rpi5-8gb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-latency-ms", "-1"], "--max-latency-ms is -1"),
        (["--max-price", "nan"], "--max-price-usd is nan"),
        (["--percentile", "100"], "--percentile is 100"),
        (["--devices", "0"], "--devices is 0"),
        (["--profile", "rpi5-8gp"], "did you mean 'rpi5-8gb'"),
        (["--results", "{tmp}/none.jsonl"], "none.jsonl"),
        (["--results", "{tmp}/bad.jsonl"], "bad.jsonl, line 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    model: str, tmp_path: Path, capsys: Said, words: list[str], said: str
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"run": "\\u001b[31m", "measurement": {"p50_ms": NaN}}\n')
    asked = [word.format(tmp=tmp_path) for word in words]
    assert call("select", "-m", model, *asked) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) <= 2


def test_the_guide_works_in_order(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    shutil.copy(model, tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert len(commands) >= 3
    for program, *words in commands:
        assert program == "insight-edge"
        assert call(*words) == 0, capsys.readouterr().err
    assert (tmp_path / "choice.html").is_file()
    assert "rpi5-8gb" in (tmp_path / "choice.md").read_text()


def test_what_another_tool_reports_is_shown_and_teaches_nothing(
    model: str, tmp_path: Path, capsys: Said
) -> None:
    report, kept = tmp_path / "report.json", tmp_path / "results.jsonl"
    report.write_text(json.dumps({"execution_results": {"latency (ms)": "0.01"}}))
    assert call("bench", "--import", str(report), "-o", str(kept), "--format", "json") == 0
    [said] = json.loads(capsys.readouterr().out)
    assert (said["reported_by"], said["latency_ms"]) == ("OpenVINO benchmark_app", {"p50": 0.01})
    asked = ["predict", "-m", model, "--profile", "rpi5-8gb", "--format", "json"]
    assert call(*asked, "--results", str(kept)) == 0
    told = capsys.readouterr()
    assert "1 reported by OpenVINO benchmark_app: nobody verified it" in told.err
    assert {row["latency_kind"] for row in json.loads(told.out)} == {"predicted"}
    report.write_text("not a report")
    assert call("bench", "--import", str(report)) == 2
    assert "no report of a benchmark that is known here" in capsys.readouterr().err
