# SPDX-License-Identifier: Apache-2.0
"""How close answers are to the source model's, whatever the truth is: classes, errors, power.

Pure: arrays of one output in, figures out. What may be lost is decided in
`compile.trials.verify`.
"""

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.evidence import Interval, OutputEvidence
from insight_edge.stats.interval import wilson

Rows = NDArray[np.generic]
Outputs = Mapping[str, Rows]
Figures = NDArray[np.float64]

CONFIDENCE = 0.95


def says_class(rows: Rows) -> bool:
    """Return whether it is one class index a row, or one score a class."""
    if rows.dtype.kind in "iu":
        return rows.size == len(rows)
    return rows.ndim == 2 and rows.shape[1] > 1


def classes(rows: Rows) -> NDArray[np.intp]:
    """Return (n,) the class that each row says."""
    if rows.dtype.kind in "iu":
        return rows.reshape(len(rows)).astype(np.intp)
    top: NDArray[np.intp] = flat(rows).argmax(axis=1)
    return top


def differences(source: Rows, target: Rows) -> Figures:
    """Return f8[n, elements], 0 where equal or both NaN, infinite where only one is a number."""
    left, right = flat(source), flat(target)
    with np.errstate(invalid="ignore"):
        difference = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    return np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))


def resolution(rows: Rows) -> Figures:
    """Return f8[n, elements], the step from each number to the next of its type; 0 of integers."""
    if rows.dtype.kind != "f":
        return np.zeros_like(flat(rows))
    with np.errstate(invalid="ignore"):
        return np.abs(flat(np.spacing(rows)))


def sqnr_db(source: Rows, difference: Figures) -> float | None:
    """Return the ratio of signal to quantisation noise, or None where there is no ratio."""
    signal = float(np.square(flat(source)).sum())
    noise = float(np.square(difference).sum())
    if not 0 < noise < math.inf or not 0 < signal < math.inf:
        return None
    return 10 * math.log10(signal / noise)


def output_evidence(
    name: str, source: Rows, target: Rows, difference: Figures, *, ranked: bool = True
) -> OutputEvidence:
    """Return what can be said of one output without labels.

    Args:
        name: of the output.
        source: (n, ...) the source model's answers.
        target: the artifact's.
        difference: of the two.
        ranked: (n, k) numbers are scores of classes.
    """
    ranked = ranked and says_class(source)
    if ranked:
        same = int(np.equal(classes(source), classes(target)).sum())
        low, high = wilson(same, len(source), confidence=CONFIDENCE)
        value: Interval | None = Interval(value=same / len(source), low=low, high=high)
    else:
        value = relative_error(flat(source), difference)
    return OutputEvidence(
        name=name,
        metric="top-1" if ranked else "relative error",
        value=value,
        sqnr_db=sqnr_db(source, difference),
    )


def relative_error(source: Figures, difference: Figures) -> Interval | None:
    """Return the L2 norm of the error over that of the source's answers, None if that is infinite.

    Rows are what was sampled: power of error over power of answers is a ratio of their sums (W.
    G. Cochran, Sampling Techniques, 3rd edition 1977, chapter 6), and its root is told.
    """
    signal, noise = np.square(source).sum(axis=1), np.square(difference).sum(axis=1)
    total_signal, total_noise = float(signal.sum()), float(noise.sum())
    if total_noise == 0:
        return Interval(value=0.0, low=0.0, high=0.0)
    if not 0 < total_signal < math.inf or not total_noise < math.inf:
        return None
    ratio, rows = total_noise / total_signal, len(signal)
    residual = float(np.square((noise - ratio * signal) / total_signal).sum())
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    half *= math.sqrt(residual * rows / (rows - 1)) if rows > 1 else 0.0
    return Interval(
        value=math.sqrt(ratio),
        low=math.sqrt(max(0.0, ratio - half)),
        high=math.sqrt(ratio + half),
        confidence=CONFIDENCE,
    )


def flat(rows: Rows) -> Figures:
    """Return f8[n, elements]."""
    return rows.reshape(len(rows), -1).astype(np.float64)
