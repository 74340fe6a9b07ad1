# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from insight_cloud.evaluation.classification import (
    ClassificationEvaluation,
    confusion_matrix,
    evaluate,
    rate,
)
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.stats.interval import wilson

CLASSES = ("zero", "one", "two", "three")
Pairs = list[tuple[int, int]]
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=80)


def evaluation(rows: Pairs) -> ClassificationEvaluation:
    labels, predicted = np.array(rows, np.int64).reshape(-1, 2).T
    return evaluate(labels, predicted, CLASSES, dataset="d", split="validation")


@given(pairs)
def test_counts_and_rates_equal_scikit_learns(rows: Pairs) -> None:
    found = evaluation(rows)
    labels, predicted = zip(*rows, strict=True)
    expected = metrics.confusion_matrix(labels, predicted, labels=range(4))
    precision, recall, _, _ = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(4), zero_division=np.nan
    )
    assert np.array_equal(found.confusion, expected)
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(labels, predicted))
    for index, one in enumerate(found.classes):
        for mine, theirs in ((one.precision, precision[index]), (one.recall, recall[index])):
            value = np.nan if mine.value is None else mine.value
            assert value == pytest.approx(theirs, nan_ok=True)


@given(pairs)
def test_every_rate_lies_in_its_interval(rows: Pairs) -> None:
    found = evaluation(rows)
    for one in (found.accuracy, *(r for c in found.classes for r in (c.precision, c.recall))):
        assert 0 <= one.low <= one.high <= 1
        assert one.value is None or one.low <= one.value <= one.high


@given(pairs)
def test_an_evaluation_survives_its_file(rows: Pairs) -> None:
    found = evaluation(rows)
    assert decode_json(ClassificationEvaluation, encode_json(found)) == found


def test_a_rate_has_wilsons_interval() -> None:
    found = rate(348, 360)
    assert (found.low, found.high) == wilson(348, 360, confidence=0.95)
    assert found.value == 348 / 360


def test_a_share_of_nothing_is_unknown() -> None:
    found = rate(0, 0)
    assert (found.value, found.low, found.high) == (None, 0.0, 1.0)


def test_confusion_has_true_classes_as_rows() -> None:
    counts = confusion_matrix(np.array([0, 0, 1]), np.array([1, 1, 1]), 2)
    assert counts.tolist() == [[0, 2], [0, 1]]


@pytest.mark.parametrize(("labels", "predicted"), [([0], [0, 1]), ([4], [0]), ([0], [-1])])
def test_rows_that_cannot_be_counted_are_refused(labels: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match=r"labels|outside"):
        confusion_matrix(np.array(labels), np.array(predicted), 4)
