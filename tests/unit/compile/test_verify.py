# SPDX-License-Identifier: Apache-2.0
"""A proof says how much is lost at most, and how many rows it takes to say so."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.compile.trials.verify import CLOSE_SHARE, MIN_SQNR_DB, agreement, no_rows, prove
from insight_edge.documents.evidence import Proof
from insight_edge.errors import CompileError
from insight_edge.stats.paired import loss_bound

CLASSES = 5
LEAST_ROWS = 299
"""The least n with 0.95 confidence that a loss never seen is below 1 %: ln 0.05 / ln 0.99."""


def scores(classes: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return one score a class, the largest for the class given."""
    found: NDArray[np.float32] = np.eye(CLASSES, dtype=np.float32)[classes] * 4 - 1
    return found


def classes_of(count: int) -> NDArray[np.int64]:
    return np.arange(count) % CLASSES


def spoiled(classes: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Return the classes with the first rows wrong."""
    found = classes.copy()
    found[:rows] = (found[:rows] + 1) % CLASSES
    return found


def compared(
    source: NDArray[Any],
    target: NDArray[Any],
    labels: NDArray[np.int64] | None = None,
    budget_pp: float = 1.0,
) -> Proof:
    return prove({"y": source}, {"y": target}, labels, budget_pp=budget_pp)


@given(st.integers(1, 2000), st.booleans())
def test_identical_answers_are_proven_by_enough_rows_and_else_miss_exactly_the_rest(
    count: int, labelled: bool
) -> None:
    answers = scores(classes_of(count))
    proof = compared(answers, answers, classes_of(count) if labelled else None)
    assert proof.labelled is labelled
    assert (proof.drop_pp, proof.agreement, proof.max_abs_error) == (0.0, 1.0, 0.0)
    assert proof.sqnr_db is None
    if count >= LEAST_ROWS:
        assert (proof.verdict, proof.need_rows) == ("PROVEN", 0)
        assert proof.drop_upper_pp <= 1.0
    else:
        need = LEAST_ROWS - count
        assert (proof.verdict, proof.need_rows) == ("UNPROVEN", need)
        assert proof.reason == f"UNPROVEN: need {need} more"


@given(st.integers(1, 400), st.sampled_from([0.5, 1.0, 3.0, 10.0]))
def test_rows_that_are_missing_suffice_and_one_less_does_not(count: int, budget_pp: float) -> None:
    proof = compared(scores(classes_of(count)), scores(classes_of(count)), budget_pp=budget_pp)
    for rows, verdict in ((proof.need_rows, "PROVEN"), (proof.need_rows - 1, "UNPROVEN")):
        if proof.verdict == "UNPROVEN" and rows:
            answers = scores(classes_of(count + rows))
            assert compared(answers, answers, budget_pp=budget_pp).verdict == verdict


@pytest.mark.parametrize(("losses", "gains"), [(1, 0), (2, 0), (2, 1), (4, 3)])
def test_rows_that_are_missing_suffice_at_the_rates_seen(losses: int, gains: int) -> None:
    count = 100
    labels = classes_of(count)
    source, target = labels.copy(), labels.copy()
    target[:losses] = (labels[:losses] + 1) % CLASSES
    source[losses : losses + gains] = (labels[losses : losses + gains] + 1) % CLASSES
    proof = compared(scores(source), scores(target), labels, budget_pp=3.0)
    assert proof.verdict == "UNPROVEN"
    # Whole repetitions of the rows keep the rates: enough of them, and one too few.
    repeat = -(-(count + proof.need_rows) // count)
    for times, verdict in ((repeat, "PROVEN"), (repeat - 1, "UNPROVEN")):
        again = compared(
            scores(np.tile(source, times)),
            scores(np.tile(target, times)),
            np.tile(labels, times),
            budget_pp=3.0,
        )
        assert again.verdict == verdict


@given(st.integers(100, 1000), st.floats(0.02, 0.5), st.booleans())
def test_planted_drop_fails(count: int, share: float, labelled: bool) -> None:
    labels, lost = classes_of(count), int(np.ceil(count * share))
    proof = compared(scores(labels), scores(spoiled(labels, lost)), labels if labelled else None)
    assert proof.verdict == "FAILED"
    assert proof.drop_pp == pytest.approx(100 * lost / count)
    assert proof.drop_upper_pp > proof.drop_pp
    assert proof.reason == f"loses {proof.drop_pp:.2f} pp, 1 pp are allowed"


@given(st.integers(1, 500), st.data())
def test_upper_bound_is_the_paired_loss_of_the_metric(count: int, data: st.DataObject) -> None:
    draw = st.lists(st.integers(0, CLASSES - 1), min_size=count, max_size=count)
    source, target, labels = (np.array(data.draw(draw)) for _ in range(3))
    proof = compared(scores(source), scores(target), labels, budget_pp=5.0)
    loss = loss_bound(source == labels, target == labels)
    assert proof.drop_upper_pp == 100 * loss.upper
    assert proof.drop_pp == 100 * loss.drop
    assert proof.source_value == (source == labels).mean()
    assert proof.target_value == (target == labels).mean()
    assert proof.agreement == (source == target).mean()
    sound = proof.sqnr_db is None or proof.sqnr_db >= MIN_SQNR_DB
    assert (proof.verdict == "PROVEN") == (loss.upper <= 0.05 and sound)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.9, "PROVEN"), (2.1, "FAILED"), (1e25, "FAILED")]
)
def test_error_larger_than_the_answers_fails_whatever_the_classes_say(
    factor: float, verdict: str
) -> None:
    labels = classes_of(400)
    source = scores(labels).astype(np.float64)
    proof = compared(source, source * factor, labels)
    assert (proof.agreement, proof.drop_pp, proof.verdict) == (1.0, 0.0, verdict)
    assert ("SQNR" in proof.reason) is (verdict == "FAILED")


def test_labels_forgive_a_change_that_agreement_does_not() -> None:
    labels = classes_of(400)
    source = spoiled(labels, 40)
    # Where the source is wrong the target is wrong in another way.
    target = source.copy()
    target[:40] = (target[:40] + 1) % CLASSES
    labelled = compared(scores(source), scores(target), labels)
    assert (labelled.verdict, labelled.metric, labelled.source_value) == ("PROVEN", "accuracy", 0.9)
    unlabelled = compared(scores(source), scores(target))
    assert (unlabelled.verdict, unlabelled.metric) == ("FAILED", "agreement")
    assert unlabelled.source_value == 1.0
    assert unlabelled.target_value == labelled.agreement == 0.9


def test_gains_make_up_for_losses() -> None:
    labels = classes_of(1000)
    source, target = spoiled(labels, 50), spoiled(labels[::-1].copy(), 45)[::-1]
    proof = compared(scores(source), scores(target), labels)
    assert proof.drop_pp == pytest.approx(-0.5)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("labelled", [True, False])
def test_one_number_that_is_none_fails(odd: float, labelled: bool) -> None:
    labels = classes_of(400)
    target = scores(labels)
    # Not in the largest score, so that the class stays as it is.
    target[7, (labels[7] + 1) % CLASSES] = odd if odd < 0 or np.isnan(odd) else -odd
    proof = compared(scores(labels), target, labels if labelled else None)
    assert proof.verdict == "FAILED"
    assert "NaN or infinity" in proof.reason
    assert (proof.worst_row, proof.sqnr_db) == (7, None)
    assert np.isfinite(proof.max_abs_error)


def test_source_that_answers_nan_is_met_by_nan_alone() -> None:
    source = scores(classes_of(400))
    source[3] = np.nan
    assert compared(source, source.copy()).verdict == "PROVEN"
    assert compared(source, scores(classes_of(400))).verdict == "FAILED"


def test_regression_agrees_where_every_element_is_close() -> None:
    generator = np.random.default_rng(0)
    source = generator.normal(20, 3, (400, 1)).astype(np.float32)
    close = source + np.float32(0.9 * CLOSE_SHARE * source.std())
    assert compared(source, close).verdict == "PROVEN"
    far = source + np.float32(1.1 * CLOSE_SHARE * source.std())
    assert compared(source, far).verdict == "FAILED"
    some = np.where(np.arange(400)[:, None] < 3, far, source)
    proof = compared(source, some)
    assert (proof.verdict, proof.drop_pp) == ("UNPROVEN", 0.75)


@pytest.mark.parametrize("shape", [(400,), (400, 1), (400, 2, 3), (400, 4, 5, 6)])
def test_any_shape_that_says_no_class_is_compared_element_by_element(
    shape: tuple[int, ...],
) -> None:
    source = np.random.default_rng(0).normal(size=shape)
    target = source.copy()
    target[(5, *(-1 for _ in shape[1:]))] += 1.0
    agreed = agreement(source, target)
    assert np.flatnonzero(agreed < 1).tolist() == [5]
    assert agreed[5] == pytest.approx(1 - len(source) / source.size)
    assert compared(source, target).worst_row == 5


@given(
    st.floats(1e-30, 1e30), st.sampled_from([np.float16, np.float32, np.float64]), st.integers(0, 9)
)
def test_rounding_of_an_output_that_hardly_varies_is_no_loss(
    size: float, dtype: type[np.floating[Any]], seed: int
) -> None:
    size = min(max(size, 1e-4), 1e4) if dtype is np.float16 else size
    random = np.random.default_rng(seed)
    middle = np.full((LEAST_ROWS, 1), size, dtype)
    step = np.spacing(middle)
    source = middle + step * random.integers(0, 2, middle.shape).astype(dtype)
    target = middle + step * random.integers(0, 2, middle.shape).astype(dtype)
    assert compared(source, target).verdict == "PROVEN"
    assert compared(source, source + 16 * step).verdict == "FAILED"


def test_infinity_that_is_met_is_close() -> None:
    source = np.array([[np.inf], [1.0], [-np.inf], [2.0]], np.float32)
    assert agreement(source, source).tolist() == [1.0] * 4


def test_a_map_agrees_in_as_many_elements_as_are_close() -> None:
    source = np.random.default_rng(0).normal(size=(400, 10, 20))
    target = source.copy()
    target[::4, 3, 5] += 1.0
    proof = compared(source, target)
    assert proof.verdict == "PROVEN"
    assert proof.drop_pp == pytest.approx(100 / 4 / 200)
    assert proof.agreement == pytest.approx(1 - 1 / 4 / 200)
    target[:, 3, :] += 1.0
    assert compared(source, target).verdict == "FAILED"


def test_labels_are_no_use_to_a_model_that_says_no_class() -> None:
    source = np.random.default_rng(0).normal(size=(400, 1))
    proof = compared(source, source, classes_of(400))
    assert (proof.labelled, proof.metric, proof.verdict) == (False, "agreement", "PROVEN")


def test_class_indices_are_compared_as_they_are() -> None:
    labels = np.arange(1000) % 100
    proof = compared(labels, spoiled(labels, 1), labels, budget_pp=5.0)
    assert (proof.source_value, proof.target_value, proof.agreement) == (1.0, 0.999, 0.999)


def test_every_output_has_to_agree() -> None:
    labels = classes_of(400)
    boxes = np.random.default_rng(0).normal(size=(400, 4, 2))
    source: dict[str, NDArray[Any]] = {"boxes": boxes, "scores": scores(labels)}
    assert prove(source, source, None, budget_pp=1.0).verdict == "PROVEN"
    for broken in ({"scores": scores(spoiled(labels, 200))}, {"boxes": -boxes}):
        assert prove(source, source | broken, None, budget_pp=1.0).verdict == "FAILED"
    # Labels say nothing of boxes, and the scores are found behind them.
    proof = prove(source, source, labels, budget_pp=1.0)
    assert (proof.metric, proof.source_value) == ("accuracy", 1.0)


def test_figures_are_of_the_worst_row_and_the_noisiest_output() -> None:
    source = scores(classes_of(10))
    target = source.copy()
    target[6, 0] += 0.5
    target[2, 1] += 0.25
    proof = compared(source, target)
    assert (proof.worst_row, proof.max_abs_error) == (6, 0.5)
    signal, noise = np.square(source).sum(), 0.25 + 0.0625
    assert proof.sqnr_db == pytest.approx(10 * np.log10(signal / noise))
    both = prove({"a": source, "b": source}, {"a": target, "b": source + 1}, None, budget_pp=1.0)
    assert both.sqnr_db == pytest.approx(10 * np.log10(signal / source.size))


@pytest.mark.parametrize("found", [{}, {"y": scores(classes_of(9))}, {"y": np.zeros((10, 4))}])
def test_artifact_that_answers_in_another_shape_is_refused(found: dict[str, Any]) -> None:
    with pytest.raises(CompileError, match="'y'"):
        prove({"y": scores(classes_of(10))}, found, None, budget_pp=1.0)


@pytest.mark.parametrize(
    ("wanted", "found"), [("bool", "float32"), ("int64", "int32"), ("float32", "float64")]
)
def test_artifact_that_answers_in_another_type_is_refused(wanted: str, found: str) -> None:
    ones = np.ones((400, 3))
    with pytest.raises(CompileError, match=f"'y' as {found}, the source model as {wanted}"):
        prove({"y": ones.astype(wanted)}, {"y": ones.astype(found)}, None, budget_pp=1.0)


def test_budget_of_nothing_cannot_be_proven() -> None:
    answers = scores(classes_of(400))
    proof = compared(answers, answers, budget_pp=0.0)
    assert (proof.verdict, proof.reason) == (
        "UNPROVEN",
        "UNPROVEN: no number of rows proves it within 0 pp",
    )


def test_no_rows_prove_nothing() -> None:
    proof = no_rows(1.0)
    assert (proof.verdict, proof.rows, proof.drop_upper_pp) == ("UNPROVEN", 0, 100.0)
    assert proof.need_rows == LEAST_ROWS


def test_measured_drop_is_bounded_for_itself() -> None:
    labels = classes_of(5000)
    answers = scores(labels), scores(spoiled(labels, 30))
    proof = prove({"y": answers[0]}, {"y": answers[1]}, labels, budget_pp=1.0)
    assert (proof.verdict, proof.measured_budget_pp) == ("PROVEN", None)
    strict = prove(
        {"y": answers[0]}, {"y": answers[1]}, labels, budget_pp=1.0, measured_budget_pp=0.5
    )
    assert (strict.verdict, strict.measured_budget_pp) == ("FAILED", 0.5)
    assert strict.reason == "loses 0.60 pp, 0.5 pp are allowed"


def test_every_output_is_told_for_itself() -> None:
    labels = classes_of(400)
    box = np.random.default_rng(0).normal(size=(400, 2, 2))
    source: dict[str, NDArray[Any]] = {"class": scores(labels), "box": box}
    target: dict[str, NDArray[Any]] = {"class": scores(spoiled(labels, 4)), "box": box * 1.1}
    proof = prove(source, target, labels, budget_pp=5.0)
    said, error = proof.outputs
    assert (said.name, said.metric) == ("class", "top-1")
    assert said.value is not None
    assert said.value.low < said.value.value == 0.99 < said.value.high
    assert (error.name, error.metric) == ("box", "relative error")
    assert error.value is not None
    assert error.value.value == pytest.approx(0.1)
    assert error.sqnr_db == pytest.approx(20.0)
    assert proof.sqnr_db == min(o.sqnr_db for o in proof.outputs if o.sqnr_db is not None)
