# SPDX-License-Identifier: Apache-2.0
"""What a checked model asks of hardware: arithmetic, bytes moved, memory alive at once.

Everything is at batch 1 with symbolic dimensions taken as 1. It is counted from
the graph as it was exported: what an engine fuses away is still in it. Control
flow counts as one unknown operator.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from onnx import ModelProto, NodeProto
from onnx.helper import get_attribute_value

from insight_edge.compile.arithmetic import Call, flops
from insight_edge.compile.check import called_names, opset_of, subgraphs
from insight_edge.compile.shapes import Extent, extents_of, input_values, specs_of, unfolded
from insight_edge.documents.workload import Operation, Workload

GATHERING = frozenset({"Gather", "GatherElements", "GatherND"})
"""They read what they write, not the whole table."""


def workload_from_onnx(model: ModelProto, digest: str) -> Workload:
    """Return the workload of a model that passed `check_model`; `digest` is of its file.

    Raises:
        ModelError: a tensor is larger than any machine's memory.
    """
    inputs, outputs = specs_of(model)
    flat = unfolded(model)
    extents = extents_of(flat)
    nodes = [node for node in flat.graph.node if node.op_type != "Constant"]
    counts = [flops(_call(node, extents)) for node in nodes]
    operations = _operations(nodes, counts, extents)
    return Workload(
        model_digest=digest,
        opset=opset_of(model),
        inputs=inputs,
        outputs=outputs,
        operations=operations,
        flops=sum(operation.flops for operation in operations),
        parameter_bytes=sum(operation.parameter_bytes for operation in operations),
        peak_live_bytes=peak_live_bytes(
            {value.name for value in input_values(flat.graph)},
            {value.name for value in flat.graph.output},
            [(_used(node), frozenset(filter(None, node.output))) for node in nodes],
            {name: e.length_bytes for name, e in extents.items() if not e.constant},
        ),
        unknown_ops=tuple(
            sorted({_op(n) for n, count in zip(nodes, counts, strict=True) if count is None})
        ),
    )


def peak_live_bytes(
    inputs: Iterable[str],
    outputs: Iterable[str],
    steps: Sequence[tuple[frozenset[str], frozenset[str]]],
    length_bytes: Mapping[str, int],
) -> int:
    """Return the largest sum of tensors alive at once when steps run in the order given.

    Inputs live from the start and outputs to the end; anything else from the step that
    writes it to the last that reads it. A step's reads and writes are alive together.

    Args:
        inputs: of the graph.
        outputs: of the graph.
        steps: what each reads and writes.
        length_bytes: of the tensors that count; others weigh nothing.
    """
    kept = frozenset(outputs)
    last_read = {name: index for index, (reads, _) in enumerate(steps) for name in reads}
    alive = set(inputs)
    live = peak = sum(length_bytes.get(name, 0) for name in alive)
    for index, (reads, writes) in enumerate(steps):
        live += sum(length_bytes.get(name, 0) for name in writes - alive)
        alive |= writes
        peak = max(peak, live)
        dead = {n for n in (reads | writes) & alive if last_read.get(n, -1) <= index} - kept
        live -= sum(length_bytes.get(name, 0) for name in dead)
        alive -= dead
    return peak


def _op(node: NodeProto) -> str:
    """Return the operator, with its domain where that is not the standard one."""
    return ".".join(filter(None, called_names(node)))


def _call(node: NodeProto, extents: Mapping[str, Extent]) -> Call:
    def shapes(names: Iterable[str]) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(extents[n].shape if n in extents else None for n in names)

    return Call(
        op=_op(node),
        inputs=shapes(node.input),
        outputs=shapes(node.output),
        attributes={a.name: get_attribute_value(a) for a in node.attribute if not a.ref_attr_name},
    )


def _operations(
    nodes: Sequence[NodeProto], counts: Sequence[int | None], extents: Mapping[str, Extent]
) -> tuple[Operation, ...]:
    """Return one operation a node; weights shared by several belong to the first."""
    owned: set[str] = set()
    operations = []
    for index, (node, count) in enumerate(zip(nodes, counts, strict=True)):
        weights = {n for n in _used(node) if n in extents and extents[n].constant}
        operations.append(
            Operation(
                name=node.name or f"{node.op_type}_{index}",
                op=_op(node),
                flops=count or 0,
                read_bytes=_read_bytes(node, extents),
                written_bytes=_length_bytes(node.output, extents),
                parameter_bytes=_length_bytes(weights - owned, extents) + _tree_bytes(node),
            )
        )
        owned |= weights
    return tuple(operations)


def _read_bytes(node: NodeProto, extents: Mapping[str, Extent]) -> int:
    if node.op_type in GATHERING:
        return _length_bytes((*node.output, *node.input[1:]), extents)
    return _length_bytes(_used(node), extents)


def _length_bytes(names: Iterable[str], extents: Mapping[str, Extent]) -> int:
    return sum(extents[name].length_bytes for name in set(names) if name in extents)


def _tree_bytes(node: NodeProto) -> int:
    """Return the bytes of weights that classical models keep in attributes, as ONNX has them."""
    if node.domain != "ai.onnx.ml":
        return 0
    return sum(
        4 * len(a.floats) + 8 * len(a.ints) + 4 * math.prod(a.t.dims or (0,))
        for a in node.attribute
    )


def _used(node: NodeProto) -> frozenset[str]:
    """Return the tensors a node reads, those that its subgraphs take from outside included."""
    names = set(filter(None, node.input))
    for graph in subgraphs(node):
        names |= {name for inner in graph.node for name in _used(inner)}
        names -= {name for inner in graph.node for name in inner.output}
    return frozenset(names)
