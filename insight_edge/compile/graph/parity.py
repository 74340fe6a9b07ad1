# SPDX-License-Identifier: Apache-2.0
"""Whether exported ONNX answers like the framework's own model, in FP32.

Compared on the reference engine of the workshop. The bound is for rounding, not
for a changed model: errors of an export are larger by orders of magnitude.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.graph.reference import answers
from insight_edge.errors import ModelError

RELATIVE_TOLERANCE = 1e-4
"""Of the largest element of an output."""

Array = NDArray[Any]


def refuse_disagreement(
    data: bytes,
    inputs: Mapping[str, Array],
    expected: Sequence[Array],
    *,
    framework: str,
    tolerance: float = RELATIVE_TOLERANCE,
) -> None:
    """Raise unless an ONNX model answers with the expected outputs, in order.

    Args:
        data: the ONNX file's bytes.
        inputs: by name.
        expected: what the original answers.
        framework: what messages call it.
        tolerance: of the largest element of an output.

    Raises:
        ModelError: the number of outputs, a shape or a value differs.
    """
    found_answers = answers(data, inputs)
    if len(found_answers) != len(expected):
        raise ModelError(
            f"the export has {len(found_answers)} outputs, {framework} answers with {len(expected)}"
        )
    for (name, found), wanted in zip(found_answers.items(), expected, strict=True):
        if found.shape != wanted.shape:
            raise ModelError(
                f"output '{name}' of the export is {list(found.shape)}, "
                f"{framework} answers {list(wanted.shape)}"
            )
        error = relative_error(found, wanted)
        if not error <= tolerance:
            raise ModelError(
                f"output '{name}' of the export differs from {framework} by {error:.1e} "
                f"of its largest element",
                hint="report the operator to the exporter; a wrong export cannot be compiled",
            )


def relative_error(found: Array, wanted: Array) -> float:
    """Return the largest difference in units of the largest element; NaN must meet NaN."""
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    if not np.array_equal(np.isnan(found), np.isnan(wanted)):
        return float("inf")
    scale = np.nanmax(np.abs(wanted), initial=np.finfo(np.float32).tiny)
    return float(np.nanmax(np.abs(found - wanted), initial=0.0) / scale)
