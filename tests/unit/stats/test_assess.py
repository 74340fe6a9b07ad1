# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.stats.assess import Assessment, Reference, Verdict, assess
from insight_edge.stats.finding import Kind, Trait
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.summary import Summary
from insight_edge.stats.tally import Tally
from insight_edge.stats.threshold import Threshold

Rows = NDArray[np.float64]

IMAGE = {"mean": (4.9, 0.6), "contrast": (15.0, 0.8), "max": (15.5, 0.4)}
SURE = {"confidence": (0.97, 0.01)}
CLASSES = ("cat", "dog", "cow")

TRAITS = (
    *(Trait(name=f"image.{m}", side="input", tensor="image", measure=m) for m in IMAGE),
    Trait(name="temperature", side="input", tensor="sensors", measure="value", channel=None),
    Trait(name="scores.confidence", side="output", tensor="scores", measure="confidence"),
    Trait(name="scores.top", side="output", tensor="scores", measure="top"),
)
TESTED = ("image.mean", "image.contrast", "image.max", "temperature", "scores.top")


def inputs(rows: int, seed: int, **moved: float) -> Rows:
    """Return images and temperatures; a measure that moved is multiplied."""
    random = np.random.default_rng(seed)
    columns = [
        random.normal(centre, spread, rows) * moved.get(measure, 1.0)
        for measure, (centre, spread) in IMAGE.items()
    ]
    temperature = random.normal(20, 5, rows) + moved.get("temperature", 0.0)
    return np.column_stack([*columns, temperature])


def outputs(rows: int, seed: int, *, sure: float = 0.97, mix: tuple[float, ...] = ()) -> Rows:
    random = np.random.default_rng(seed)
    top = random.choice(3, rows, p=mix or (0.5, 0.3, 0.2))
    return np.column_stack([random.normal(sure, 0.01, rows), top.astype(float)])


GRIDS = (
    grid_from_rows([trait.name for trait in TRAITS[:4]], inputs(1000, 0)),
    grid_from_rows([trait.name for trait in TRAITS[4:]], outputs(1000, 0)),
)


def summaries(seen: Rows, answered: Rows) -> tuple[Summary, Summary]:
    def summary(side: int, table: Rows) -> Summary:
        tally = Tally(GRIDS[side])
        tally.observe(table)
        return tally.summary()

    return summary(0, seen), summary(1, answered)


REFERENCE = Reference(
    summaries=summaries(inputs(1000, 0), outputs(1000, 0)), traits=TRAITS, classes=CLASSES
)


def limit(value: float, window_rows: int = 100, **changes: Any) -> Threshold:
    fields: dict[str, Any] = {
        "window_rows": window_rows,
        "limit": value,
        "budget": 0.01,
        "features": TESTED,
        "reference_rows": 1000,
        "depends": False,
        "seed": 0,
        "draws": 1000,
    }
    return Threshold(**fields | changes)


LIMITS = (limit(0.5, 50), limit(0.35, 200))


def assessed(
    rows: int = 214,
    *,
    thresholds: tuple[Threshold, ...] = LIMITS,
    seen: Rows | None = None,
    answered: Rows | None = None,
    **arguments: Any,
) -> Assessment:
    seen = inputs(rows, 1) if seen is None else seen
    answered = outputs(rows, 1) if answered is None else answered
    return assess(REFERENCE, summaries(seen, answered), thresholds, **arguments)


def test_a_window_like_training_is_steady() -> None:
    found = assessed()
    assert found.verdict is Verdict.STEADY
    assert found.limit == 0.35
    nearest = max((one for one in found.findings if one.tested), key=lambda one: one.score)
    assert found.sentence == (
        f"The inputs of 214 rows look like training (score {found.score:.3g} in "
        f"{nearest.trait.noun}, limit 0.35)"
    )


def test_a_darker_window_says_what_fell_and_by_how_much() -> None:
    found = assessed(seen=inputs(214, 1, mean=0.61, contrast=0.65))
    assert found.verdict is Verdict.DRIFTED
    assert found.sentence == (
        "Mean of image 4.87 → 2.97 (brightness fell 39 %), contrast −35 %: the inputs of 214 rows "  # noqa: RUF001
        f"look like none of the training windows (score {found.score:.3g}, limit 0.35)"
    )


def test_the_largest_limit_is_that_of_the_largest_window_that_fits() -> None:
    assert [assessed(rows).limit for rows in (50, 199, 200, 5000)] == [0.5, 0.5, 0.35, 0.35]


def test_more_rows_of_the_same_shares_have_the_same_score_under_one_limit() -> None:
    seen, answered = inputs(100, 1, mean=0.5), outputs(100, 1)
    once = assessed(seen=seen, answered=answered, thresholds=LIMITS[:1])
    twice = assessed(
        seen=np.vstack([seen, seen]), answered=np.vstack([answered] * 2), thresholds=LIMITS[:1]
    )
    assert (once.rows, twice.rows) == (100, 200)
    assert once.score == pytest.approx(twice.score)


def test_a_few_rows_say_how_many_more_it_takes() -> None:
    found = assessed(37, least_rows=50)
    assert found.verdict is Verdict.TOO_FEW
    assert found.limit is None
    assert found.sentence == (
        "37 rows are too few to compare with training: 13 more make a window of 50"
    )
    assert assessed(1, least_rows=50).sentence.startswith("1 row is too few")
    assert assessed(0, least_rows=50).verdict is Verdict.TOO_FEW


def test_a_window_without_a_limit_says_why() -> None:
    found = assessed(thresholds=(), reason="pets:3 is not in the registry")
    assert found.verdict is Verdict.NO_THRESHOLDS
    assert found.score is not None
    assert found.sentence == "No limit for a window of 214 rows: pets:3 is not in the registry"
    assert assessed(40, thresholds=LIMITS).verdict is Verdict.NO_THRESHOLDS


def test_missing_values_are_counted_in_the_sentence() -> None:
    seen = inputs(214, 1)
    seen[:60, 3] = np.nan
    found = assessed(seen=seen)
    assert found.sentence.startswith(
        "Temperature is missing in 60 of 214 rows (in training 0 of 1000): the inputs of 214 rows"
    )


def test_values_out_of_range_are_counted_in_the_sentence() -> None:
    seen = inputs(214, 1)
    seen[:61, 3] = 400.0
    found = assessed(seen=seen)
    low, high = REFERENCE.summaries[0].minimum[3], REFERENCE.summaries[0].maximum[3]
    assert found.sentence.startswith(
        f"Temperature is outside the {low:.3g} to {high:.3g} of training in 61 of 214 rows "
        "(in training "
    )


def test_a_value_that_moved_says_from_where_to_where_and_no_percent() -> None:
    found = assessed(seen=inputs(214, 1, temperature=6.0))
    assert found.sentence.startswith("Temperature 20.2 → 25: the inputs of")


def test_another_class_mix_names_the_class() -> None:
    found = assessed(answered=outputs(214, 1, mix=(0.05, 0.15, 0.8)))
    assert found.verdict is Verdict.DRIFTED
    assert found.sentence.startswith("Class 'cow' 21 % → 85 % of the answers: ")
    assert "the answers to 214 rows look like none of the training windows" in found.sentence


def test_a_drop_of_confidence_alone_is_said_and_is_no_drift() -> None:
    found = assessed(answered=outputs(214, 1, sure=0.7))
    assert found.verdict is Verdict.STEADY
    assert found.sentence.endswith(
        "; but confidence fell 0.97 → 0.699, which only outcomes can judge"
    )
    assert found.findings[0].trait.measure == "confidence"
    assert not found.findings[0].tested


def test_a_drop_of_confidence_is_said_beside_drift() -> None:
    found = assessed(seen=inputs(214, 1, mean=0.61), answered=outputs(214, 1, sure=0.7))
    assert found.sentence.endswith("limit 0.35); confidence fell 0.97 → 0.699")


def test_a_change_of_spread_or_shape_says_so() -> None:
    centre, spread = IMAGE["mean"]
    wide, split = inputs(400, 1), inputs(400, 1)
    wide[:, 0] = centre + 3 * (wide[:, 0] - centre)
    split[:, 0] = centre + np.tile([-spread, spread], 200)
    assert assessed(seen=wide, answered=outputs(400, 1)).sentence.startswith(
        "Standard deviation of mean of image 0.586 → 1.64"
    )
    found = assessed(seen=split, answered=outputs(400, 1))
    assert found.sentence.startswith("Mean of image is distributed otherwise (by up to ")


def test_findings_are_ranked_by_how_surprising_they_are() -> None:
    found = assessed(seen=inputs(214, 1, contrast=0.8))
    assert found.findings[0].trait.name == "image.contrast"
    assert found.findings[0].kind is Kind.MEAN
    rates = [one.false_discovery_rate for one in found.findings]
    assert rates == sorted(rates)
    assert len(found.findings) == len(TRAITS)


def test_the_score_is_the_largest_of_the_tested_features() -> None:
    found = assessed(seen=inputs(214, 1, mean=0.9), answered=outputs(214, 1, sure=0.2))
    assert found.score == max(one.score for one in found.findings if one.tested)
    assert max(found.findings, key=lambda one: one.score).trait.measure == "confidence"


def test_outputs_that_nobody_counted_do_not_stand_in_the_way() -> None:
    found = assess(
        REFERENCE,
        (summaries(inputs(214, 1, mean=0.6), outputs(1, 1))[0], Summary.zero(GRIDS[1])),
        LIMITS,
    )
    assert found.verdict is Verdict.DRIFTED
    assert "confidence" not in found.sentence
    nothing = assess(REFERENCE, tuple(Summary.zero(grid) for grid in GRIDS), LIMITS, least_rows=0)
    assert nothing.verdict is Verdict.NO_THRESHOLDS
    assert nothing.score is None


def test_a_class_that_training_never_saw_is_no_name_of_another() -> None:
    reference, now = np.tile([1.0, 2.0], 50), np.full(100, 1.0)
    grid = grid_from_rows(["top"], reference[:, None])
    trait = Trait(name="top", side="output", tensor="scores", measure="top")

    def counted(values: Rows) -> Summary:
        tally = Tally(grid)
        tally.observe(values[:, None])
        return tally.summary()

    found = assess(
        Reference(summaries=(counted(reference),), traits=(trait,), classes=CLASSES),
        [counted(now)],
        [limit(0.1, features=("top",))],
    )
    assert found.sentence.startswith("Class 'cat…dog' 50 % → 100 % of the answers")


def test_windows_over_other_grids_and_limits_of_other_features_are_refused() -> None:
    other = grid_from_rows(["a"], np.zeros((1, 1)))
    with pytest.raises(ValueError, match="not counted over the grids"):
        assess(REFERENCE, (Summary.zero(other), Summary.zero(GRIDS[1])), LIMITS)
    with pytest.raises(ValueError, match="other features"):
        assessed(thresholds=(limit(0.1, features=("image.mean",)),))
