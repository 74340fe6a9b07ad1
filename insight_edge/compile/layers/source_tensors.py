# SPDX-License-Identifier: Apache-2.0
"""What is inside a source model on some rows: every floating-point tensor, by name.

It runs in ONNX Runtime without optimisations, as where the truth is asked
(`compile.trials.oracle`), with its tensors as more outputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from insight_edge.compile.graph.reference import Reference
from insight_edge.compile.layers.divergence import SourceTensor
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError

MEMORY_BYTES = 2**30
"""Of all tensors together; so many rows are asked as fit."""

MOST_ROWS = 16


def rows_that_fit(source: SourceModel) -> int:
    """Return on how many rows all tensors together fit into memory; 1 at least."""
    one_row = sum(operation.written_bytes for operation in source.workload.operations)
    return max(1, min(MOST_ROWS, MEMORY_BYTES // max(1, one_row)))


def source_order(model: ModelProto) -> tuple[SourceTensor, ...]:
    """Return the tensors that a model's operators make, in the order it computes them."""
    readers = _readers(model)
    return tuple(
        SourceTensor(
            name=name,
            op=node.op_type,
            node=node.name or f"{node.op_type}_{place}",
            inputs=tuple(filter(None, node.input)),
            aliases=_aliases(name, node, readers.get(name, ())),
        )
        for place, node in enumerate(model.graph.node)
        for name in node.output
        if name and node.op_type != "Constant"
    )


def source_tensors(
    model: ModelProto, order: Sequence[SourceTensor], fed: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return the values of a model's floating-point tensors for model inputs.

    Raises:
        ModelError: the model fails on these rows.
    """
    shown = ModelProto()
    shown.CopyFrom(model)
    known = {value.name for value in model.graph.output}
    more = [one.name for one in order if one.name not in known]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in more)
    names = [one.name for one in order]
    try:
        found = Reference(shown.SerializeToString(), as_written=True).answers(fed, names)
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(f"the source model cannot be looked into: {first}") from error
    return {
        name: np.atleast_1d(values)
        for name, values in found.items()
        if isinstance(values, np.ndarray) and values.dtype.kind == "f"
    }


def _readers(model: ModelProto) -> dict[str, tuple[str, ...]]:
    """Return by tensor the names of the operators that take it first."""
    found: dict[str, tuple[str, ...]] = {}
    for node in model.graph.node:
        if node.input and node.name:
            found[node.input[0]] = (*found.get(node.input[0], ()), node.name)
    return found


def _aliases(name: str, node: NodeProto, readers: Sequence[str]) -> tuple[str, ...]:
    """Return what converters call a tensor.

    A QDQ graph has it dequantised; onnx2tf calls what has its channels last after the operator
    that makes or takes it.
    """
    own = [f"{node.name}_output_nhwc"] if node.name and node.output[0] == name else []
    taken = [f"{reader}_input_nhwc" for reader in readers]
    return (f"{name}_DequantizeLinear_Output", name, *own, *taken)
