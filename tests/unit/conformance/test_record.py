# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.record import (
    VERDICTS,
    Outcome,
    Row,
    joined,
    losses,
    read_record,
    write_record,
)
from conformance.table import share, table
from insight_edge.errors import DocumentError

OUTCOMES = st.builds(Outcome, verdict=st.sampled_from(VERDICTS), reason=st.text(max_size=20))
PAIRS = st.dictionaries(st.sampled_from(["onnxruntime", "tvm"]), st.tuples(OUTCOMES, OUTCOMES))
ROWS = PAIRS.map(
    lambda pairs: Row(
        ours={name: pair[0] for name, pair in pairs.items()},
        bare={name: pair[1] for name, pair in pairs.items()},
    )
)
RECORDS = st.dictionaries(st.sampled_from(["node/test_a", "simple/test_b", "light/l"]), ROWS)

PASS = Outcome(verdict="pass")
REFUSED = Outcome(verdict="refused", reason="input 'x' holds strings")
WRONG = Outcome(verdict="wrong", reason="output 'y' differs by 1")


def row(ours: Outcome, bare: Outcome = PASS) -> Row:
    return Row(ours={"tvm": ours}, bare={"tvm": bare})


@given(RECORDS)
def test_record_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Row]
) -> None:
    path = tmp_path_factory.mktemp("record") / "conformance.json"
    write_record(path, record)
    first = path.read_bytes()
    found = read_record(path)
    assert found == record
    write_record(path, dict(sorted(found.items(), reverse=True)))
    assert path.read_bytes() == first


@given(RECORDS, RECORDS)
def test_joining_keeps_what_was_not_run_and_takes_what_was(
    before: dict[str, Row], now: dict[str, Row]
) -> None:
    both = joined(before, now)
    assert both.keys() == before.keys() | now.keys()
    for case, found in both.items():
        for backend, outcome in found.ours.items():
            later = now.get(case, Row(ours={}, bare={})).ours
            assert outcome == later.get(backend, outcome)


@pytest.mark.parametrize("text", ["", "{", '{"format": 2, "cases": {}}'])
def test_other_documents_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "conformance.json"
    path.write_text(text)
    with pytest.raises(DocumentError):
        read_record(path)


def test_unknown_verdict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "conformance.json"
    path.write_text('{"format": 1, "cases": {"node/a": {"tvm": [["splendid"]]}}}')
    with pytest.raises(DocumentError, match="splendid"):
        read_record(path)


def test_case_that_passes_no_more_is_a_loss_and_a_gain_is_none() -> None:
    before = {"node/a": row(PASS), "node/b": row(REFUSED), "node/c": row(PASS)}
    now = {"node/a": row(WRONG), "node/b": row(PASS)}
    assert losses(before, now) == ["node/a on tvm: wrong: output 'y' differs by 1"]
    assert losses(now, before) == ["node/b on tvm: refused: input 'x' holds strings"]


def test_share_counts_what_the_bare_engine_passes() -> None:
    record = {
        "node/a": row(PASS),
        "node/b": row(REFUSED),
        "node/c": row(WRONG),
        "node/d": row(PASS, WRONG),
        "simple/e": row(PASS),
    }
    found = share(record, "tvm")
    assert found is not None
    assert (found.passed, found.of, found.taken, found.forbidden) == (2, 4, 3, 1)
    assert (found.value, found.of_taken) == (0.5, 2 / 3)
    of_simple = share(record, "tvm", "simple")
    assert of_simple is not None
    assert of_simple.value == 1.0
    assert share(record, "openvino") is None


def test_table_has_every_count_and_groups_reasons_that_differ_in_names_alone() -> None:
    other = Outcome(verdict="refused", reason="input 'other' holds strings")
    record = {"node/a": row(PASS), "node/b": row(REFUSED), "node/c": row(other)}
    page = table(record)
    assert "| tvm | node | 3 | 1 | 2 | 0 | 0 | 0 | 3 | 33.3% | 100.0% |" in page
    assert "| 2 | input 'x' holds strings | node/b, node/c |" in page
    assert "onnxruntime" not in page
