# SPDX-License-Identifier: Apache-2.0
"""In which rows two models answer otherwise, and by how much: pure.

Of class scores the first rank counts, of whole numbers, truth values and text whether they are
equal, of other numbers the signal-to-noise ratio, with the one that serves as the signal. What
comes of it are counts of rows, which add up exactly. Nobody is right here: labels tell that.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ALIKE_DB = 20.0
"""Numbers whose difference is over a tenth of what was answered are another answer."""

STEP_DB = 6.0
"""Width of a bucket of ratios: twice the difference."""

MOST_DB = 120.0
"""Finer than float32 can say; equal rows have it."""

Array = NDArray[Any]


class Compared(NamedTuple):
    """One output of some rows.

    Attributes:
        differing: bool[n], rows that are answered otherwise.
        odd: bool[n], rows in which one is a number and the other is none, or is infinite.
        buckets: i8[n], signal-to-noise ratio in steps of `STEP_DB`; None where there is none.
        says_class: whether it is a decision, which differs or not, rather than a measure.
    """

    differing: NDArray[np.bool_]
    odd: NDArray[np.bool_]
    buckets: NDArray[np.int64] | None
    says_class: bool


def compare(expected: Array, found: Array, *, ranked: bool) -> Compared:
    """Return how one output differs, row by row.

    Args:
        expected: what was answered, rows first.
        found: what the other answers, of that shape.
        ranked: (n, k) numbers, k of at least 2, are scores of classes.

    Raises:
        ValueError: they are of unlike shapes, or numbers on one side only.
    """
    if expected.shape != found.shape or _is_number(expected) != _is_number(found):
        raise ValueError(f"{expected.dtype} {expected.shape} and {found.dtype} {found.shape}")
    if not _is_number(expected):
        differing = (expected != found).reshape(len(expected), -1).any(axis=1)
        return Compared(differing, np.zeros(len(expected), np.bool_), None, says_class=True)
    ratio_db, odd = _ratio_db(_flat(expected), _flat(found))
    says_class = ranked and expected.ndim == 2 and expected.shape[1] > 1
    differing = (
        expected.argmax(axis=1) != found.argmax(axis=1) if says_class else ratio_db < ALIKE_DB
    )
    return Compared(differing | odd, odd, (ratio_db // STEP_DB).astype(np.int64), says_class)


def differing_rows(outputs: list[Compared]) -> NDArray[np.bool_]:
    """Return the rows that are answered otherwise: by their decisions, where there are any."""
    deciding = [one for one in outputs if one.says_class] or outputs
    odd = np.any([one.odd for one in outputs], axis=0)
    found: NDArray[np.bool_] = odd | np.any([one.differing for one in deciding], axis=0)
    return found


def _ratio_db(expected: Array, found: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the signal-to-noise ratio of each row, 0 to `MOST_DB`, and which rows are odd."""
    finite = np.isfinite(expected) & np.isfinite(found)
    alike = finite | (expected == found) | (np.isnan(expected) & np.isnan(found))
    odd = ~alike.all(axis=1)
    signal = np.square(expected, where=finite, out=np.zeros_like(expected)).sum(axis=1)
    off = np.subtract(found, expected, where=finite, out=np.zeros_like(expected))
    noise = np.square(off).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio_db = np.where(noise > 0, 10 * np.log10(signal / noise), MOST_DB)
    # Squares of the largest numbers overflow; infinite noise is the worst there is.
    ratio_db = np.nan_to_num(ratio_db, nan=0.0, posinf=MOST_DB, neginf=0.0)
    return np.where(odd, 0.0, ratio_db.clip(0.0, MOST_DB)), odd


def _flat(array: Array) -> Array:
    return array.reshape(len(array), -1).astype(np.float64)


def _is_number(array: Array) -> bool:
    return array.dtype.kind == "f"
