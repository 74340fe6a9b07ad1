# SPDX-License-Identifier: Apache-2.0
"""What each measure of a feature computes, for all rows of a chunk at once.

A measure takes C-contiguous float64 rows (n, ...) and returns float64 (n,). NaN
in a row makes every measure of that row NaN; no value raises.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]


def flattened(rows: NDArray[Any]) -> NDArray[Any]:
    """Return rows of any rank as (n, values), with no rows too."""
    return rows.reshape(len(rows), math.prod(rows.shape[1:]))


def _total(differences: Rows) -> Rows:
    """Return the sum of magnitudes of each row; overwrites, as a copy would cost more."""
    result: Rows = flattened(np.abs(differences, out=differences)).sum(axis=1)
    return result


def mean(rows: Rows) -> Rows:
    """Return the arithmetic mean of each row."""
    result: Rows = flattened(rows).mean(axis=1)
    return result


def std(rows: Rows) -> Rows:
    """Return the population standard deviation of each row."""
    result: Rows = flattened(rows).std(axis=1)
    return result


def minimum(rows: Rows) -> Rows:
    """Return the smallest value of each row."""
    result: Rows = flattened(rows).min(axis=1)
    return result


def maximum(rows: Rows) -> Rows:
    """Return the largest value of each row."""
    result: Rows = flattened(rows).max(axis=1)
    return result


def contrast(rows: Rows) -> Rows:
    """Return the largest less the smallest value of each row."""
    return maximum(rows) - minimum(rows)


def sharpness(rows: Rows) -> Rows:
    """Return the mean absolute difference of neighbours in the last two dimensions.

    Every pair of horizontal and every pair of vertical neighbours counts once,
    in all channels; 0 where there is no pair.
    """
    height, width = rows.shape[-2:]
    pairs = math.prod(rows.shape[1:-2]) * (height * (width - 1) + (height - 1) * width)
    across = _total(rows[..., 1:] - rows[..., :-1])
    down = _total(rows[..., 1:, :] - rows[..., :-1, :])
    result: Rows = (across + down) / max(pairs, 1)
    return result


def sharpness_of_blocks(rows: Rows) -> Rows:
    """Return `sharpness` of blocks of two by two that lie side by side, each pair within one."""
    across = _total(rows[..., 1::2] - rows[..., ::2])
    down = _total(rows[..., 1::2, :] - rows[..., ::2, :])
    result: Rows = (across + down) / max(math.prod(rows.shape[1:]), 1)
    return result


def margin(rows: Rows) -> Rows:
    """Return the largest less the second largest value of each row; 0 is second to one value."""
    flat = flattened(rows)
    if flat.shape[1] == 1:
        return flat[:, 0]
    two = np.partition(flat, -2, axis=1)[:, -2:]
    result: Rows = two[:, 1] - two[:, 0]
    return result


def entropy(rows: Rows) -> Rows:
    """Return the Shannon entropy -sum(p ln p) of each row in nats; p <= 0 adds nothing."""
    flat = flattened(rows)
    shares = np.where(flat <= 0, 1.0, flat)
    result: Rows = 0.0 - (shares * np.log(shares)).sum(axis=1)
    return result


def top(rows: Rows) -> Rows:
    """Return the index of the largest value of each flattened row; ties take the first."""
    flat = flattened(rows)
    first = np.argmax(flat, axis=1)
    result: Rows = np.where(np.isnan(flat).any(axis=1), np.nan, first)
    return result


MEASURES: dict[str, Callable[[Rows], NDArray[Any]]] = {
    "mean": mean,
    "std": std,
    "min": minimum,
    "max": maximum,
    "contrast": contrast,
    "sharpness": sharpness,
    "confidence": maximum,
    "margin": margin,
    "entropy": entropy,
    "top": top,
}
"""All but `value`, which is a gather and not a summary."""

MEASURES_OF_BLOCKS = MEASURES | {"sharpness": sharpness_of_blocks}
"""The same of tensors that are sampled (`transforms.sampling`)."""
