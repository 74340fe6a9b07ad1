# SPDX-License-Identifier: Apache-2.0
"""One operation for every operator of a graph, those inside control flow included.

What a branch or a body does is counted where it is done: of an `If` the branch
with most arithmetic, the operators of the others listed with nothing to do; the
body of a `Loop` or a `Scan` as often as the file says. Where the file does not
say, once, and the operator is among the unknown.
"""

import math
from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

import msgspec
from onnx import GraphProto, NodeProto, TensorProto
from onnx.helper import get_attribute_value
from onnx.numpy_helper import to_array

from insight_edge.compile.graph.arithmetic import Call, flops
from insight_edge.compile.graph.parts import called_names, subgraphs
from insight_edge.compile.graph.shapes import Extent, extents_of
from insight_edge.compile.graph.signatures import Book, Origins, origins_of, signature_of
from insight_edge.documents.workload import LiveTensor, Operation, Signature
from insight_edge.selection.liveness import Peak, peak_live

GATHERING = frozenset({"Gather", "GatherElements", "GatherND"})
"""They read what they write, not the whole table."""

TENSORS_TOLD = 4


@dataclass(kw_only=True)
class Counted:
    """What a graph asks for.

    Attributes:
        unknown: op types whose arithmetic, or whose number of rounds, is not known.
        unsized: activations whose size is not known.
        peak_bytes: the largest sum of activations alive at once.
        peak_operation: the operation during which they are.
        peak_tensors: the largest of them.
        signatures: that the operations name.
    """

    operations: list[Operation] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    unsized: set[str] = field(default_factory=set)
    peak_bytes: int = 0
    peak_operation: str = ""
    peak_tensors: tuple[LiveTensor, ...] = ()
    signatures: tuple[Signature, ...] = ()

    @property
    def flops(self) -> int:
        """Of all operations."""
        return sum(operation.flops for operation in self.operations)


def count_operations(
    graph: GraphProto, weights: Mapping[str, Extent], inputs: Iterable[str]
) -> Counted:
    """Return what a whole graph asks for.

    Args:
        graph: with inferred shapes.
        weights: those that the graph lists as inputs because they are large.
        inputs: what callers pass.

    Raises:
        ModelError: a tensor is larger than any machine's memory.
    """
    return _Counter(ChainMap(), set(), Book()).count(graph, weights, frozenset(inputs), "")


class _Counter:
    """Counts one graph; those inside it by counters that see its tensors."""

    def __init__(
        self,
        outer: MutableMapping[str, Extent],
        owned: set[str],
        book: Book,
        origins: Origins | None = None,
    ) -> None:
        self._outer, self._outer_origins = outer, origins or {}
        self._owned, self._book = owned, book
        self._constants: dict[str, TensorProto] = {}

    def count(
        self, graph: GraphProto, weights: Mapping[str, Extent], inputs: frozenset[str], prefix: str
    ) -> Counted:
        own = extents_of(graph) | dict(weights)
        self._extents: MutableMapping[str, Extent] = ChainMap(own, self._outer)
        self._origins = origins_of(graph, own, self._outer_origins)
        self._read = frozenset(value.name for value in graph.output).union(
            *map(used_by, graph.node)
        )
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        nodes = []
        for node in graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self._constants[node.output[0]] = attribute.t
            else:
                nodes.append(node)
        found = Counted()
        within = [self._count_node(node, i, prefix, found) for i, node in enumerate(nodes)]
        lengths = {name: e.length_bytes for name, e in own.items() if not e.constant}
        peak = peak_live(
            inputs,
            {value.name for value in graph.output},
            [(used_by(node), frozenset(filter(None, node.output))) for node in nodes],
            lengths,
            within=within,
        )
        found.peak_bytes = peak.length_bytes
        found.peak_tensors = _largest(peak, lengths)
        if peak.step >= 0:
            found.peak_operation = _name(nodes[peak.step], peak.step, prefix)
        written = {name for node in nodes for name in node.output if name}
        found.unsized |= {n for n in written if n not in own or own[n].shape is None}
        found.signatures = tuple(self._book.signatures)
        return found

    def _count_node(self, node: NodeProto, index: int, prefix: str, found: Counted) -> int:
        """Add what a node asks for; return the peak of what is alive inside it, in bytes."""
        name = _name(node, index, prefix)
        inside = [
            self._inner(graph, f"{name}/{graph.name or place}/")
            for place, graph in enumerate(subgraphs(node))
        ]
        count = None if inside else flops(_call(node, self._extents))
        found.operations.append(self._operation(node, name, count or 0, nested=bool(inside)))
        if count is None and not inside:
            found.unknown.add(op_name(node))
        times = self._times(node) if inside and node.op_type != "If" else 1
        if times is None:
            found.unknown.add(op_name(node))
        costliest = max(inside, key=lambda each: each.flops, default=None)
        for each in inside:
            idle = node.op_type == "If" and each is not costliest
            found.operations += _repeated(each.operations, 0 if idle else (times or 1))
            found.unknown |= each.unknown
            found.unsized |= each.unsized
        return max((each.peak_bytes for each in inside), default=0)

    def _inner(self, graph: GraphProto, prefix: str) -> Counted:
        inputs = frozenset(value.name for value in graph.input)
        return _Counter(self._extents, self._owned, self._book, self._origins).count(
            graph, {}, inputs, prefix
        )

    def _operation(self, node: NodeProto, name: str, count: int, *, nested: bool) -> Operation:
        """Return the operation; weights shared by several belong to the first."""
        reads = frozenset(filter(None, node.input)) if nested else used_by(node)
        weights = {n for n in reads if n in self._extents and self._extents[n].constant}
        mine = weights - self._owned
        self._owned |= mine
        return Operation(
            name=name,
            op=op_name(node),
            flops=count,
            read_bytes=self._read_bytes(node, reads),
            written_bytes=self._length_bytes(node.output),
            parameter_bytes=self._length_bytes(mine) + _tree_bytes(node),
            signature=self._book.place(
                signature_of(node, op_name(node), self._extents, self._origins, self._read)
            ),
        )

    def _read_bytes(self, node: NodeProto, reads: frozenset[str]) -> int:
        if node.op_type in GATHERING:
            return self._length_bytes((*node.output, *node.input[1:]))
        return self._length_bytes(reads)

    def _length_bytes(self, names: Iterable[str]) -> int:
        extents = self._extents
        return sum(extents[name].length_bytes for name in set(names) if name in extents)

    def _times(self, node: NodeProto) -> int | None:
        """Return how often the body of a node runs at most, None where the file does not say."""
        attributes = {a.name: get_attribute_value(a) for a in node.attribute if not a.ref_attr_name}
        if node.op_type == "Loop" and node.input:
            tensor = self._constants.get(node.input[0])
            if tensor is not None and math.prod(tensor.dims) == 1:
                return max(0, int(to_array(tensor).reshape(-1)[0]))
        if node.op_type == "Scan" and node.input:
            scanned = self._extents.get(node.input[-1])
            axis = int((attributes.get("scan_input_axes") or [0])[-1])
            shape = scanned.shape if scanned and scanned.shape else ()
            if -len(shape) <= axis < len(shape):
                return shape[axis]
        return None


def _name(node: NodeProto, index: int, prefix: str) -> str:
    return f"{prefix}{node.name or f'{node.op_type}_{index}'}"


def _largest(peak: Peak, lengths: Mapping[str, int]) -> tuple[LiveTensor, ...]:
    """Return the largest tensors of a peak, those that weigh nothing left out."""
    found = [LiveTensor(name=n, length_bytes=lengths[n]) for n in peak.alive if lengths.get(n)]
    found.sort(key=lambda tensor: (-tensor.length_bytes, tensor.name))
    return tuple(found[:TENSORS_TOLD])


def op_name(node: NodeProto) -> str:
    """Return the operator, with its domain where that is not the standard one."""
    return ".".join(filter(None, called_names(node)))


def used_by(node: NodeProto) -> frozenset[str]:
    """Return the tensors a node reads, those that its subgraphs take from outside included."""
    names = set(filter(None, node.input))
    for graph in subgraphs(node):
        names |= {name for inner in graph.node for name in used_by(inner)}
        names |= {value.name for value in graph.output}
        names -= {name for inner in graph.node for name in inner.output}
        names -= {value.name for value in graph.input}
    return frozenset(names)


def _repeated(operations: Sequence[Operation], times: int) -> list[Operation]:
    """Return operations done so many times; their weights stay, even where they do nothing."""
    if times == 1:
        return list(operations)
    return [
        msgspec.structs.replace(
            each,
            flops=each.flops * times,
            read_bytes=each.read_bytes * times,
            written_bytes=each.written_bytes * times,
        )
        for each in operations
    ]


def _call(node: NodeProto, extents: Mapping[str, Extent]) -> Call:
    def shapes(names: Iterable[str]) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(extents[n].shape if n in extents else None for n in names)

    return Call(
        op=op_name(node),
        inputs=shapes(node.input),
        outputs=shapes(node.output),
        attributes={a.name: get_attribute_value(a) for a in node.attribute if not a.ref_attr_name},
    )


def _tree_bytes(node: NodeProto) -> int:
    """Return the bytes of weights that classical models keep in attributes, as ONNX has them."""
    if node.domain != "ai.onnx.ml":
        return 0
    return sum(
        4 * len(a.floats) + 8 * len(a.ints) + 4 * math.prod(a.t.dims or (0,))
        for a in node.attribute
    )
