# SPDX-License-Identifier: Apache-2.0
"""What a scikit-learn estimator and its conversion are both asked, and what the first answers.

Rows lie where the estimator was fitted, as far as its first step remembers that: elsewhere
encoders and exponentials answer what nobody needs. No importer itself; converts nothing.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = 256
MISSING_SHARE = 0.05
UNDECIDED = 1e-5
"""Rows whose best two scores are nearer than this, as shares of the best, have no label that
rounding leaves alone."""

Rows = NDArray[np.float32]
Array = NDArray[Any]


def parity_rows(estimator: Any) -> Rows:
    """Return (n, features) rows over the range the model was fitted on, as far as it knows it.

    Where nothing is known the rows are normal at magnitudes from 0.01 to 100. The last quarter
    has values missing where a first step or histograms make something of them.
    """
    random = np.random.default_rng(0)
    rows = random.normal(size=(ROWS, estimator.n_features_in_)).astype(np.float32)
    rows = _placed(estimator, rows, random)
    if _takes_missing(estimator):
        gaps = random.random((ROWS // 4, rows.shape[1])) < MISSING_SHARE
        rows[-len(gaps) :][gaps] = np.nan
    return rows


def asked(estimator: Any, rows: Rows, columns: int) -> tuple[Rows, list[Array]]:
    """Return the rows that have an answer which rounding leaves alone, and the answers.

    Args:
        estimator: fitted.
        rows: (n, features).
        columns: of the scores of the conversion.
    """
    try:
        answers = _answers(estimator, rows.astype(np.float64), columns)
    except ValueError:  # some take rows of the type only that they were fitted on
        answers = _answers(estimator, rows, columns)
    found = [np.asarray(answer) for answer in answers]
    keep = np.ones(len(rows), bool)
    for answer in found:
        if answer.dtype.kind == "f":
            with np.errstate(over="ignore"):
                keep &= np.isfinite(answer.astype(np.float32)).reshape(len(rows), -1).all(axis=1)
    if len(found) > 1 and found[1].shape[1] > 1:
        keep &= _decided(found[1])
    return rows[keep], [answer[keep] for answer in found]


def labels_of(estimator: Any, rows: Array) -> Array:
    """Return (n,) what it predicts; the place among its classes where these have names."""
    said = np.asarray(estimator.predict(rows))
    return said if said.dtype.kind in "iufb" else np.searchsorted(estimator.classes_, said)


def steps_of(estimator: Any) -> Iterator[Any]:
    """Yield the steps of a pipeline in order, those of pipelines inside it too; or itself."""
    if not hasattr(estimator, "steps"):
        yield estimator
        return
    for _, step in estimator.steps:
        yield from steps_of(step)


def _answers(estimator: Any, rows: Array, columns: int) -> list[Array]:
    """Return values; or labels, and columns of scores where it has any."""
    from sklearn.base import is_classifier, is_regressor

    if is_regressor(estimator):
        return [np.asarray(estimator.predict(rows)).reshape(len(rows), -1)]
    if not hasattr(estimator, "predict"):
        return [np.asarray(estimator.transform(rows)).reshape(len(rows), -1)]
    labels = labels_of(estimator, rows)
    names = ("predict_proba",) if is_classifier(estimator) else ("transform",)
    methods = (getattr(estimator, name, None) for name in (*names, "decision_function"))
    score = next((method for method in methods if method is not None), None)
    if score is None:
        return [labels]
    scores = np.asarray(score(rows))
    if scores.ndim == 1:  # of the second of two classes
        scores = scores[:, None] if columns == 1 else np.stack([-scores, scores], axis=1)
    return [labels, scores]


def _decided(scores: Array) -> NDArray[np.bool_]:
    best = np.sort(scores, axis=1)
    decided: NDArray[np.bool_] = best[:, -1] - best[:, -2] > UNDECIDED * np.abs(best[:, -1])
    return decided


def _placed(estimator: Any, rows: Rows, random: np.random.Generator) -> Rows:
    """Return normal rows moved to where the first step that remembers its data has seen some."""
    for step in steps_of(estimator):
        if getattr(step, "n_features_in_", None) != rows.shape[1]:
            break
        if hasattr(step, "transformers_"):
            return _placed_by_column(step, rows, random)
        if hasattr(step, "categories_"):
            return np.stack([random.choice(c, len(rows)) for c in step.categories_], axis=1).astype(
                np.float32
            )
        middle, spread = _range(step)
        if middle is not None and spread is not None:
            return np.asarray(middle + 2 * spread * rows, np.float32)
    return rows * np.logspace(-2, 2, len(rows), dtype=np.float32)[:, None]


def _placed_by_column(step: Any, rows: Rows, random: np.random.Generator) -> Rows:
    placed = rows.copy()
    for _, inner, columns in step.transformers_:
        if not isinstance(inner, str):
            chosen = np.arange(rows.shape[1])[columns]
            placed[:, chosen] = _placed(inner, rows[:, np.atleast_1d(chosen)], random).reshape(
                placed[:, chosen].shape
            )
    return placed


def _range(step: Any) -> tuple[Array | None, Array | None]:
    if hasattr(step, "data_min_"):
        low, high = step.data_min_, step.data_max_
        return (low + high) / 2, (high - low) / 4
    return getattr(step, "mean_", None), getattr(step, "scale_", None)


def _takes_missing(estimator: Any) -> bool:
    first = next(steps_of(estimator))
    return type(first).__name__.startswith(("SimpleImputer", "HistGradientBoosting"))
