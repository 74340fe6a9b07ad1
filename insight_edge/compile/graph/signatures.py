# SPDX-License-Identifier: Apache-2.0
"""The signature of every call of an operator: what toolchains look at, sizes apart.

Calls that look alike share one; a network of a thousand operators has a few
dozen. Where a tensor comes from is followed through the graph: what is computed
from constants alone is a constant, what is computed from sizes is known once
these are.
"""

from collections.abc import Collection, Mapping
from typing import TypeAlias

import msgspec
from onnx import AttributeProto, GraphProto, NodeProto
from onnx.helper import get_attribute_value

from insight_edge.compile.graph.shapes import Extent
from insight_edge.documents.workload import Operand, Origin, Said, Signature

TOLD = frozenset({
    "antialias", "block_size", "coordinate_transformation_mode", "exclude_outside",
    "ignore_index", "keep_aspect_ratio_policy", "mode", "reduction", "training_mode",
})  # fmt: skip
"""Attributes that some backend has a rule about."""

TOLD_OF = {
    "AveragePool": frozenset({"dilations"}),
    "BitShift": frozenset({"direction"}),
    "GridSample": frozenset({"padding_mode"}),
    "LpNormalization": frozenset({"axis", "p"}),
    "LpPool": frozenset({"auto_pad", "ceil_mode", "dilations", "p", "pads"}),
    "MaxPool": frozenset({"dilations"}),
    "Mod": frozenset({"fmod"}),
}
"""The same of one operator alone: told of all, they would keep apart what else looks alike."""

SIZES = frozenset({"Shape", "Size"})
ORDER: tuple[Origin, ...] = ("constant", "shape", "data")
GRAPHS = frozenset({AttributeProto.GRAPH, AttributeProto.GRAPHS})

Extents: TypeAlias = Mapping[str, Extent]
Origins: TypeAlias = Mapping[str, Origin]


class Book:
    """All signatures of a model, each once."""

    def __init__(self) -> None:
        self.signatures: list[Signature] = []
        self._places: dict[bytes, int] = {}

    def place(self, signature: Signature) -> int:
        """Return the place of a signature; a new one gets the next."""
        key = msgspec.json.encode(signature)
        if key not in self._places:
            self._places[key] = len(self.signatures)
            self.signatures.append(signature)
        return self._places[key]


def origins_of(graph: GraphProto, extents: Extents, outer: Origins) -> dict[str, Origin]:
    """Return where every tensor that a graph sees comes from.

    Args:
        graph: its nodes in order.
        extents: of its own tensors.
        outer: what the graph around it sees.
    """
    found: dict[str, Origin] = dict(outer)
    found.update((value.name, "data") for value in graph.input)
    found.update((name, "constant") for name, extent in extents.items() if extent.constant)
    for node in graph.node:
        origin = _origin(node, found)
        found.update((name, origin) for name in node.output)
    return found


def signature_of(
    node: NodeProto, op: str, extents: Extents, origins: Origins, read: Collection[str]
) -> Signature:
    """Return the signature of a node.

    Args:
        node: of a graph.
        op: its operator, as `Operation.op` has it.
        extents: of the tensors that the graph sees.
        origins: of the same.
        read: tensors that somebody reads.
    """
    return Signature(
        op=op,
        inputs=tuple(_operand(name, extents, origins) for name in node.input),
        outputs=tuple(name in read for name in node.output),
        attributes={
            a.name: _value(a)
            for a in node.attribute
            if a.name in TOLD or a.name in TOLD_OF.get(op, ())
        },
    )


def _operand(name: str, extents: Extents, origins: Origins) -> Operand | None:
    if not name:
        return None
    extent = extents.get(name, Extent(shape=None, item_bytes=0))
    return Operand(dtype=extent.dtype, rank=extent.rank, origin=origins.get(name, "data"))


def _origin(node: NodeProto, origins: Origins) -> Origin:
    """Return where the answers of a node come from; of control flow nothing is known."""
    if any(attribute.type in GRAPHS for attribute in node.attribute):
        return "data"
    # Of its second input the type alone is looked at.
    inputs = node.input[:1] if node.op_type == "CastLike" else node.input
    found = [ORDER.index(origins.get(name, "data")) for name in inputs if name]
    worst = ORDER[max(found, default=0)]
    return "shape" if node.op_type in SIZES and worst == "data" else worst


def _value(attribute: AttributeProto) -> Said:
    value = get_attribute_value(attribute)
    if attribute.type == AttributeProto.INTS:
        return tuple(map(int, value))
    return value.decode(errors="replace") if isinstance(value, bytes) else int(value)
