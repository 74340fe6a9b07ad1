# SPDX-License-Identifier: Apache-2.0
"""What an application may say of a result later, and what is kept of it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insight_edge.documents.host import OutcomeRow
from insight_edge.runtime import outcomes
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.outcomes import MAX_TEXT, OutcomeLog, outcome_row
from tests.fakes.matrix import install, tagged_matrix, write_matrix_bundle


def row(label: Any = "cat", **names: Any) -> OutcomeRow:
    return outcome_row(label, **{"id": None, "key": "order-7", "at_s": 1.0} | names)


@pytest.mark.parametrize("label", ["cat", 3, 2.5, np.int64(3), np.float32(2.5), np.str_("cat")])
def test_label_is_a_plain_text_or_number(label: Any) -> None:
    assert type(row(label).label) in {str, int, float}
    assert row(label).label == label


@pytest.mark.parametrize(
    ("label", "names", "error"),
    [
        ("cat", {"id": "press-7/c/1/2"}, ValueError),
        ("cat", {"key": None}, ValueError),
        (float("nan"), {}, ValueError),
        (2**53, {}, ValueError),
        ("x" * (MAX_TEXT + 1), {}, ValueError),
        ("cat", {"key": "x" * (MAX_TEXT + 1)}, ValueError),
        ("cat", {"at_s": float("inf")}, ValueError),
        (None, {}, TypeError),
        (True, {}, TypeError),
        (np.bool_(True), {}, TypeError),
        (b"cat", {}, TypeError),
    ],
)
def test_what_cannot_be_meant_is_refused(
    label: Any, names: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        row(label, **names)


def test_time_is_now_unless_it_is_said() -> None:
    assert row(at_s=None).at_s > 1.7e9


def test_rows_stay_until_they_are_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "MAX_KEPT", 3)
    log = OutcomeLog(wanted=True)
    assert [log.keep(row(n)) for n in range(5)] == [True] * 3 + [False] * 2
    assert log.dropped == 2
    taken = log.oldest(2)
    assert [one.label for one in taken] == [0, 1]
    assert log.oldest(2) == taken
    log.confirm(taken)
    log.confirm(taken)  # of another who took the same
    assert [one.label for one in log.oldest(9)] == [2]
    log.confirm(log.oldest(9))
    assert log.empty


def test_equal_rows_are_confirmed_one_by_one() -> None:
    log = OutcomeLog(wanted=True)
    for _ in range(2):
        log.keep(row())
    log.confirm(log.oldest(1))
    assert len(log.oldest(9)) == 1


def test_without_a_fleet_nothing_is_kept_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch)
    write_matrix_bundle(tmp_path / "b", tagged_matrix(1))
    with (
        caplog.at_level(logging.WARNING),
        Runtime.open(tmp_path / "b", allow_unsigned=True) as runtime,
    ):
        assert [runtime.outcome("cat", key="order-7") for _ in range(3)] == [False] * 3
    assert [record.message for record in caplog.records] == [
        "outcomes are not kept: this runtime belongs to no fleet"
    ]
