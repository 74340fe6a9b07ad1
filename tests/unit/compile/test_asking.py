# SPDX-License-Identifier: Apache-2.0
"""A subject that takes its time is asked as many rows as there is time for, each once."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.bench.subject import SubjectProcess
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.compile.trials.asking import (
    RUN_ROWS,
    UNSHIPPED_S,
    Answered,
    _runs,
    answered,
    patience_s,
)
from insight_edge.compile.trials.examine import _as_of
from insight_edge.compile.trials.question import Question
from insight_edge.compile.trials.verify import prove
from insight_edge.documents.steps import Observe
from tests.fakes.onnx_models import relu_model

ROWS = 100
Arrays = dict[str, NDArray[Any]]


class Halving:
    """Answers with half of what it is asked, and counts."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def answer(self, inputs: Arrays) -> Arrays:
        self.asked.append(len(inputs["x"]))
        return {"y": inputs["x"] / 2}


@pytest.fixture
def source() -> SourceModel:
    return source_from_onnx(relu_model().SerializeToString(), name="m", importer="onnx")


@pytest.fixture
def question() -> Question:
    x = np.arange(ROWS * 4, dtype=np.float32).reshape(ROWS, 4)
    rows = {"x": x}
    return Question(
        rows=rows,
        labels=np.arange(ROWS),
        answers={"y": x},
        golden_rows=rows,
        golden_answers=rows,
        golden_source="data",
        observe=Observe(),
        reference=None,
    )


def ask(source: SourceModel, question: Question, budget_s: float | None) -> tuple[Answered, int]:
    subject = Halving()
    found = answered(cast("SubjectProcess", subject), source, question, budget_s)
    return found, len(subject.asked)


@pytest.mark.parametrize(
    ("budget_s", "orders", "rows"), [(None, 1, ROWS), (1e6, 4, ROWS), (0.0, 1, RUN_ROWS)]
)
def test_answers_belong_to_their_rows_however_many_there_are(
    source: SourceModel, question: Question, budget_s: float | None, orders: int, rows: int
) -> None:
    found, asked = ask(source, question, budget_s)
    assert (asked, len(found.rows)) == (orders, rows)
    assert np.array_equal(found.source["y"], question.answers["y"][found.rows])
    assert np.array_equal(found.target["y"] * 2, found.source["y"])
    assert found.labels is not None
    assert np.array_equal(found.labels, found.rows)


def test_proof_of_some_rows_says_so_and_names_the_row_of_the_question(
    source: SourceModel, question: Question
) -> None:
    found, _ = ask(source, question, 0.0)
    proof = _as_of(found, question, prove(found.source, found.target, None, budget_pp=1))
    assert proof.reason.endswith(f"; {RUN_ROWS} of {ROWS} rows were asked in time")
    assert proof.worst_row == found.rows.max()
    whole, _ = ask(source, question, 1e6)
    proof = _as_of(whole, question, prove(whole.source, whole.target, None, budget_pp=1))
    assert "asked in time" not in proof.reason
    assert proof.worst_row == ROWS - 1


@given(st.integers(1, 200), st.integers(1, 50))
def test_every_row_is_asked_once_in_whole_batches(batches: int, batch: int) -> None:
    count = batches * batch
    runs = _runs(count, batch)
    assert sorted(np.concatenate(runs)) == list(range(count))
    assert all(len(run) % batch == 0 for run in runs)
    assert max(map(len, runs)) <= max(batch, RUN_ROWS)


@pytest.mark.parametrize(
    ("budget_s", "unfinished", "patience"),
    [
        (None, "", None),
        (300.0, "", 300.0),
        (None, "not tuned", UNSHIPPED_S),
        (300.0, "not tuned", UNSHIPPED_S),
        (1.0, "not tuned", 1.0),
    ],
)
def test_what_is_not_shipped_anyway_is_not_asked_for_long(
    budget_s: float | None, unfinished: str, patience: float | None
) -> None:
    assert patience_s(budget_s, unfinished) == patience
