# SPDX-License-Identifier: Apache-2.0
"""Whether an artifact answers the golden samples as its source model did.

Pure comparison of arrays. The same question is asked when a bundle is built,
before a swap, and by `verify`: a driver or engine that has changed since shows
here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def disagreement(
    expected: Arrays,
    found: Arrays,
    *,
    tolerance: float,
    mean_tolerances: Mapping[str, float] | None = None,
) -> str | None:
    """Return one sentence about the first output that differs by more than it may, or None.

    NaN agrees with NaN and infinity with itself alone; integers and booleans are compared as
    numbers. What rounds differently moves a few numbers of an INT8 output by one step of its
    scale, a wrong channel may move many by no more: only the mean tells the two apart.

    Args:
        expected: the golden answers by output.
        found: what is compared with them.
        tolerance: of every number.
        mean_tolerances: by output, of the mean of its absolute differences.
    """
    for name, wanted in expected.items():
        if name not in found:
            return f"output '{name}' is missing"
        if found[name].shape != wanted.shape:
            return f"output '{name}' has shape {found[name].shape}, expected {wanted.shape}"
        mean = (mean_tolerances or {}).get(name, np.inf)
        reason = _difference(name, wanted, found[name], tolerance, mean)
        if reason is not None:
            return reason
    return None


def _difference(
    name: str, wanted: NDArray[Any], found: NDArray[Any], tolerance: float, mean_tolerance: float
) -> str | None:
    if wanted.dtype.kind not in "fiub" or found.dtype.kind not in "fiub":
        return None if np.array_equal(wanted, found) else f"output '{name}' differs"
    left, right = wanted.astype(np.float64), found.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    wrong = ~(same | (error <= tolerance))
    if not wrong.any():
        return _mean_difference(name, np.where(same, 0.0, error), mean_tolerance)
    worst = np.unravel_index(
        np.argmax(np.where(wrong, np.nan_to_num(error, nan=np.inf), -1)), left.shape
    )
    place = ", ".join(str(int(index)) for index in worst)
    return (
        f"output '{name}' is {right[worst]:.6g} at [{place}], expected {left[worst]:.6g} "
        f"within {tolerance:.3g}"
    )


def _mean_difference(name: str, error: NDArray[np.float64], tolerance: float) -> str | None:
    mean = float(error.mean()) if error.size else 0.0
    if mean <= tolerance:
        return None
    return f"output '{name}' is off by {mean:.3g} on average, expected within {tolerance:.3g}"
