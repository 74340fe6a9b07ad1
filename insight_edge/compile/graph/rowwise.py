# SPDX-License-Identifier: Apache-2.0
"""Whether a model takes and gives rows, as callers pass and receive them; it is not run here.

A model that does not is asked call by call (`compile.graph.calls`).
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.workload import Workload
from insight_edge.errors import ModelError

OUTPUT_HINT = "export the model with the batch as the first dimension of every output"


class RowlessError(ModelError):
    """The model does not answer row by row, whatever it is asked."""


def rowless(workload: Workload) -> str | None:
    """Return why the faces of a model say that it cannot be asked row by row, None if they do not.

    Outputs whose rows are of another number are found when it runs: some exporters write the
    number of their example, and answer with others.

    Raises:
        ModelError: an input takes nothing at all.
    """
    first, *others = workload.inputs
    for spec in workload.inputs:
        _refuse_empty(spec)
        if not spec.shape:
            return f"input '{spec.name}' is a single number"
    for spec in others:
        if isinstance(spec.shape[0], int) and spec.shape[0] != first.shape[0]:
            return (
                f"input '{spec.name}' takes {spec.shape[0]} rows where '{first.name}' takes "
                f"{_told(first)}"
            )
    single = next((spec for spec in workload.outputs if not spec.shape), None)
    return None if single is None else f"output '{single.name}' is a single number for all rows"


def refuse_other_rows(name: str, column: Sequence[NDArray[Any]], count: int) -> None:
    """Raise unless the parts of an output have as many rows as were asked about.

    Raises:
        ModelError: they have others.
    """
    found = sum(part.shape[0] if part.ndim else 0 for part in column)
    if found != count:
        raise RowlessError(
            f"output '{name}' has {found} rows for {count} rows of input",
            hint=OUTPUT_HINT,
        )


def _refuse_empty(spec: TensorSpec) -> None:
    if spec.shape[:1] == (0,):
        raise ModelError(
            f"input '{spec.name}' takes no rows", hint="export the model with an example of a row"
        )


def _told(spec: TensorSpec) -> str:
    return "any number" if isinstance(spec.shape[0], str) else str(spec.shape[0])
