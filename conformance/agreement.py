# SPDX-License-Identifier: Apache-2.0
"""Whether answers are those that a case asks for, by the rule of onnx's own runner.

It has two exceptions, for the product and the bare engine alike: what sums many
terms is rounded by the size of the terms, and a quantised number may be the next
one where the sum lay between two.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-6
"""Of the largest element of a floating-point answer: what any element may differ by."""

QUANTISED_BYTES = 2

Array = NDArray[Any]
Allowed = tuple[float, float, int]


def disagreement(
    wanted: Mapping[str, Any],
    found: Mapping[str, Any],
    *,
    rtol: float,
    atol: float,
    steps: int = 0,
) -> str | None:
    """Return in what answers differ, None where they do not.

    Args:
        wanted: by output; arrays, lists of them, or None.
        found: the same, of more outputs perhaps.
        rtol: as of `numpy.allclose`.
        atol: as of `numpy.allclose`.
        steps: by which integers of at most 16 bits may differ, where they are quantised numbers.
    """
    for name, value in wanted.items():
        if name not in found:
            return f"does not answer '{name}'"
        reason = _difference(value, found[name], (rtol, atol, steps))
        if reason is not None:
            return f"output '{name}' {reason}"
    return None


def _difference(wanted: Any, found: Any, allowed: Allowed) -> str | None:
    if isinstance(wanted, list | tuple):
        if not isinstance(found, list | tuple) or len(found) != len(wanted):
            return "is not the sequence asked for"
        parts = (_difference(w, f, allowed) for w, f in zip(wanted, found, strict=True))
        return next((part for part in parts if part is not None), None)
    if wanted is None or found is None:
        return None if wanted is found else "is there and should not be, or the other way round"
    return _array_difference(np.asarray(wanted), np.asarray(found), allowed)


def _array_difference(left: Array, right: Array, allowed: Allowed) -> str | None:
    if left.shape != right.shape:
        return f"is {list(right.shape)}, not {list(left.shape)}"
    if left.dtype.kind in "OUST" or right.dtype.kind in "OUST":
        return None if left.astype(str).tolist() == right.astype(str).tolist() else "differs"
    if left.dtype != right.dtype:
        return f"is {right.dtype}, not {left.dtype}"
    return _distance(left, right, allowed)


def _distance(left: Array, right: Array, allowed: Allowed) -> str | None:
    rtol, atol, steps = allowed
    if left.dtype.kind in "iub":
        narrow = left.dtype.kind != "b" and left.dtype.itemsize <= QUANTISED_BYTES
        off = np.abs(left.astype(np.int64) - right.astype(np.int64)).max(initial=0)
        return None if off <= (steps if narrow else 0) else f"differs by {off}"
    plain = np.complex128 if left.dtype.kind == "c" else np.float64
    left, right = left.astype(plain), right.astype(plain)
    largest = np.abs(left[np.isfinite(left)]).max(initial=0.0)
    if np.allclose(right, left, rtol=rtol, atol=max(atol, ROUNDING * largest), equal_nan=True):
        return None
    with np.errstate(invalid="ignore"):
        error = np.nan_to_num(np.abs(left - right), nan=np.inf).max()
    return f"differs by {error:.1e}"
