# SPDX-License-Identifier: Apache-2.0
"""What a row of answers scores by labels: right, overlapping, or close; worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from insight_edge.compile.rows.metric import score
from insight_edge.compile.trials.verify import prove
from insight_edge.documents.manifest import ranks_classes
from insight_edge.errors import ConfigurationError

HALF = np.array([[0, 0], [1, 1]])
"""Labels of a 2x2 image: the upper half is class 0, the lower class 1."""


def maps(labels: NDArray[np.int64], classes: int = 3) -> NDArray[np.float32]:
    """Return (n, classes, ...) scores, the largest for the class given."""
    found: NDArray[np.float32] = np.moveaxis(np.eye(classes, dtype=np.float32)[labels], -1, 1)
    return found


def test_overlap_is_the_mean_over_the_classes_of_an_image() -> None:
    labels = np.stack([HALF, HALF, HALF])
    answers = np.stack([HALF, np.zeros_like(HALF), np.array([[0, 1], [1, 1]])])
    found = score({"y": maps(labels)}, {"y": maps(answers)}, labels, ranked=True)
    assert found is not None
    assert (found.metric, found.binary) == ("mean IoU", False)
    assert found.source.tolist() == [1.0, 1.0, 1.0]
    assert found.target == pytest.approx([1.0, (0.5 + 0) / 2, (0.5 + 2 / 3) / 2])


def test_classes_may_come_last_or_be_told_outright() -> None:
    labels = np.stack([HALF, 1 - HALF])
    last = np.moveaxis(maps(labels), 1, -1)
    for answers in (last, labels):
        found = score({"y": answers}, {"y": answers}, labels, ranked=True)
        assert found is not None
        assert found.target.tolist() == [1.0, 1.0]


def test_closeness_is_in_spreads_of_the_labels() -> None:
    labels = np.array([[0.0, 2.0], [4.0, 6.0]])
    spread = labels.std()
    answers = labels + np.array([[0.5, 0.5], [100.0, 0.0]])
    found = score({"y": labels}, {"y": answers}, labels, ranked=False)
    assert found is not None
    assert found.metric == "1 - MAE"
    assert found.target == pytest.approx([1 - 0.5 / spread, 0.0])


@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e308])
def test_what_is_no_number_scores_nothing(odd: float) -> None:
    labels = np.array([[1.0], [2.0]])
    found = score({"y": labels}, {"y": np.array([[odd], [2.0]])}, labels, ranked=False)
    assert found is not None
    assert found.target.tolist() == [0.0, 1.0]


@given(
    arrays(np.int64, (4, 3, 3), elements=st.integers(0, 2)),
    arrays(np.int64, (4, 3, 3), elements=st.integers(0, 2)),
)
def test_overlap_is_whole_exactly_where_every_element_is_right(
    labels: NDArray[np.int64], answers: NDArray[np.int64]
) -> None:
    found = score({"y": maps(labels)}, {"y": maps(answers)}, labels, ranked=True)
    assert found is not None
    assert ((found.target >= 0) & (found.target <= 1)).all()
    right = (labels == answers).reshape(4, -1).all(axis=1)
    assert ((found.target == 1) == right).all()


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 5), "float64"), ((2, 4, 4), "int64"), ((2, 2), "int64")]
)
def test_labels_that_fit_no_output_are_refused(shape: tuple[int, ...], dtype: str) -> None:
    answers = {"y": maps(np.stack([HALF, HALF]))}
    with pytest.raises(ConfigurationError, match="fit no output: y") as caught:
        score(answers, answers, np.zeros(shape, dtype), ranked=True)
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("task", "ranked"),
    [
        ("image-classification", True),
        ("unspecified", True),
        ("tabular-regression", False),
        ("time-series-forecasting", False),
    ],
)
def test_task_says_whether_numbers_are_scores_of_classes(task: str, ranked: bool) -> None:
    assert ranks_classes(task) is ranked


def test_forecast_is_not_judged_by_its_largest_step() -> None:
    rows = np.random.default_rng(0).normal(size=(400, 4))
    target = rows + 1e-3
    assert prove({"y": rows}, {"y": target}, None, budget_pp=1.0, task="forecasting").drop_pp == 0.0
    swapped = rows[:, ::-1].copy()
    proof = prove({"y": rows}, {"y": swapped}, rows, budget_pp=1.0)
    assert (proof.verdict, proof.metric, proof.labelled) == ("FAILED", "1 - MAE", True)
    assert proof.outputs[0].metric == "relative error"


def test_scores_are_proven_by_enough_rows_and_else_say_how_many_more() -> None:
    random = np.random.default_rng(0)
    labels = random.normal(size=(2000, 4))
    source = labels + random.normal(0, 0.1, labels.shape)
    target = source + random.normal(0, 0.01, labels.shape)
    proof = prove({"y": source}, {"y": target}, labels, budget_pp=1.0)
    assert proof.verdict == "PROVEN"
    assert proof.drop_pp <= proof.drop_upper_pp <= 1.0
    few = prove({"y": source[:50]}, {"y": target[:50]}, labels[:50], budget_pp=1.0)
    assert (few.verdict, few.reason) == ("UNPROVEN", f"UNPROVEN: need {few.need_rows} more")
    assert 200 < few.need_rows < 1000
