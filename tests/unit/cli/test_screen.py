# SPDX-License-Identifier: Apache-2.0
"""Data goes to stdout in the form asked for, everything else to stderr."""

import csv
import io
import json

import pytest

from insight_edge.cli.screen import complain, emit
from insight_edge.cli.trials import emit_trials
from insight_edge.compile.trials.verify import no_rows
from insight_edge.documents.evidence import Trial
from insight_edge.documents.target import target_from_token

ROWS = [{"name": "a", "ms": 1.23456, "x": None}, {"name": "b,c|d", "ms": 2.0, "x": "é"}]
ODD = "no kernel for [/blue] in [bold]; said [1, 2]"

Captured = pytest.CaptureFixture[str]


def test_table_is_for_people(capsys: Captured) -> None:
    emit(ROWS, "table", title="Figures")
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("Figures")
    assert "1.235" in printed.out
    assert "1.23456" not in printed.out


def test_json_is_the_rows_or_the_document(capsys: Captured) -> None:
    emit(ROWS, "json")
    assert json.loads(capsys.readouterr().out) == ROWS
    emit(ROWS, "json", document=target_from_token("openvino:int8"))
    found = json.loads(capsys.readouterr().out)
    assert (found["backend"], found["precision"]) == ("openvino", "int8")


def test_csv_reads_back(capsys: Captured) -> None:
    emit(ROWS, "csv")
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in found] == ["a", "b,c|d"]
    assert [float(row["ms"]) for row in found] == [1.23456, 2.0]


def test_markdown_has_as_many_cells_as_names_in_every_line(capsys: Captured) -> None:
    emit(ROWS, "md")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| name | ms | x |"
    assert lines[1] == "|---|---|---|"
    assert lines[3] == r"| b,c\|d | 2 | é |"


@pytest.mark.parametrize("output", ["table", "json", "csv", "md"])
def test_no_rows_are_no_error(capsys: Captured, output: str) -> None:
    emit([], output)  # type: ignore[arg-type]  # each is one of the formats
    assert capsys.readouterr().err == ""


def test_complaint_is_a_line_and_a_hint_on_stderr_whatever_it_says(capsys: Captured) -> None:
    complain(f"{ODD} {'x' * 300}", f"try {ODD}")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [f"error: {ODD} {'x' * 300}", f"hint: try {ODD}"]


def test_trials_are_shown_with_whatever_a_toolchain_said(capsys: Captured) -> None:
    trials = [
        Trial(target=target_from_token("tvm:fp16"), status="failed", reason=ODD, build_s=1.25),
        Trial(
            target=target_from_token("openvino:int8"),
            status="built",
            reason="won",
            chosen=True,
            artifact_bytes=3 * 2**19,
            proof=no_rows(1.0),
        ),
    ]
    emit_trials(trials, "csv", title="Trials")
    failed, won = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (failed["target"], failed["why"], failed["build s"]) == ("tvm:fp16", ODD, "1.2")
    assert (failed["p50 ms"], failed["size MiB"], failed["proof"]) == ("-", "-", "-")
    assert (won["size MiB"], won["proof"], won["drop pp"]) == ("1.50", "UNPROVEN", "0.00 ≤ 100.00")
    emit_trials(trials, "table", title="Trials")
    table = capsys.readouterr().out
    assert "[/blue] in [bold]" in table
    assert "✔" in table
    emit_trials(trials, "json", title="Trials")
    assert [t["status"] for t in json.loads(capsys.readouterr().out)] == ["failed", "built"]


def test_refused_trials_are_a_line_for_each_reason_below_the_table(capsys: Captured) -> None:
    why = f"box runs none {ODD}"
    trials = [
        Trial(target=target_from_token(token), status="refused", reason=why)
        for token in ("tflite:fp32", "tflite:int8+dynamic")
    ]
    built = Trial(target=target_from_token("tvm:fp32"), status="built", reason="won")
    emit_trials([*trials[:1], built, *trials[1:]], "table", title="Trials")
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == f"refused tflite:fp32, tflite:int8+dynamic: {why}"
    assert printed.count("tflite") == 2
    emit_trials(trials, "md", title="Trials")
    assert len(capsys.readouterr().out.splitlines()) == 4
