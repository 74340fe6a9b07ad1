# SPDX-License-Identifier: Apache-2.0
"""What the source model itself answers: the truth that every artifact is compared with.

It runs in ONNX Runtime without graph optimisations, in the workshop's own
process. Nothing here is timed, and no artifact is ever run here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.graph.reference import Reference
from insight_edge.compile.graph.rowwise import refuse_other_rows
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError
from insight_edge.transforms.executor import run

BATCH_ROWS = 64
"""Rows a call where the batch dimension is free; bounds memory, changes no answer."""

Arrays = dict[str, NDArray[Any]]


def fed_rows(source: SourceModel, rows: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the model's inputs made from rows in the caller's format, by the device's executor."""
    tensors = run(source.described.pre, rows)
    return {spec.name: tensors[spec.name] for spec in source.workload.inputs}


def source_answers(source: SourceModel, fed: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the raw outputs of the source model for model inputs (n, ...), n at least 1.

    Raises:
        ModelError: the model fails on these rows, or does not answer row by row.
    """
    names = [spec.name for spec in source.workload.outputs]
    try:
        reference = Reference(source.data, as_written=True)
        parts = [reference.answers(part, names) for part in batches(source, fed)]
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(f"the source model does not run: {first}") from error
    columns = {name: [part[name] for part in parts] for name in names}
    for name, column in columns.items():
        refuse_other_rows(name, column, len(next(iter(fed.values()))))
    return {name: np.concatenate(column) for name, column in columns.items()}


def batches(source: SourceModel, fed: Mapping[str, NDArray[Any]]) -> list[Arrays]:
    """Return model inputs in the batches that the model takes.

    Raises:
        ModelError: the batch is fixed and the rows do not fill the last one.
    """
    fixed = source.workload.inputs[0].shape[0]
    size = fixed if isinstance(fixed, int) else BATCH_ROWS
    count = len(next(iter(fed.values())))
    if isinstance(fixed, int) and count % fixed:
        raise ModelError(f"{count} rows do not fill batches of {fixed}")
    return [
        {name: rows[start : start + size] for name, rows in fed.items()}
        for start in range(0, count, size)
    ]
