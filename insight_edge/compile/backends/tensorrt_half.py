# SPDX-License-Identifier: Apache-2.0
"""A graph that computes in FP16 between FP32 inputs and outputs.

Every FP32 tensor may exist twice, under its own name in FP32 and with a suffix in
FP16; a Cast makes the one from the other where somebody reads it. A node is
converted where the standard says that it may compute in FP16. What is worked out
from shapes and constants alone stays FP32, as does what adds up squares. Values
beyond FP16 become its largest. Whether all that loses accuracy is for the proof.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.inliner import inline_local_functions

from insight_edge.compile.graph.parts import subgraphs
from insight_edge.errors import BuildFailedError

SUFFIX = "/fp16"

LARGEST = float(np.finfo(np.float16).max)

KEPT_FP32 = frozenset({
    "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LpNormalization", "Pow",
    "RMSNormalization", "ReduceL2", "ReduceLogSumExp", "ReduceSum", "ReduceSumSquare",
})  # fmt: skip
"""They add up squares or many values: half precision's 65504 is soon exceeded."""

_MEASURING = frozenset({"Shape", "Size"})


def half_precision(model: ModelProto) -> ModelProto:
    """Return a copy of a model that computes in FP16.

    Raises:
        BuildFailedError: the type of a tensor cannot be inferred.
    """
    flat = inline_local_functions(model)
    inferred = onnx.shape_inference.infer_shapes(flat, data_prop=True)
    opset = next(o.version for o in model.opset_import if o.domain in {"", "ai.onnx"})
    halving = _Halving(inferred.graph, opset)
    del flat.graph.node[:]
    flat.graph.node.extend(halving.nodes)
    del flat.graph.initializer[:]
    flat.graph.initializer.extend(halving.initializers)
    # They say the types of before.
    del flat.graph.value_info[:]
    return flat


class _Halving:
    """The nodes and initializers of a graph, halved."""

    def __init__(self, graph: GraphProto, opset: int) -> None:
        self._opset = opset
        self._floats = _float_tensors(graph)
        self._weights = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT}
        self._wanted_fp32 = {value.name for value in graph.output}
        self._wanted_fp16: set[str] = set()
        settled = _settled(graph)
        plans = [
            (node, not _read(node) <= settled and self._is_halved(node)) for node in graph.node
        ]
        for node, halved in plans:
            self._note_wants(node, halved=halved)
        self.nodes: list[NodeProto] = []
        for value in graph.input:
            self._supply(value.name, halved=False)
        for node, halved in plans:
            self._emit(node, halved=halved)
        self.initializers = self._carried(graph.initializer)

    def _is_halved(self, node: NodeProto) -> bool:
        if node.op_type in KEPT_FP32 or node.domain or list(subgraphs(node)):
            return False
        if any(a.name == "dtype" for a in node.attribute):
            return False
        inputs, outputs = self._flexible(node)
        return bool(inputs or outputs)

    def _flexible(self, node: NodeProto) -> tuple[set[str], set[str]]:
        """Return the FP32 inputs and outputs that the standard lets be FP16."""
        schema = onnx.defs.get_schema(node.op_type, self._opset, node.domain)
        may = {c.type_param_str for c in schema.type_constraints if _allows_half(c)}
        inputs = [formal.type_str in may for formal in schema.inputs]
        outputs = [formal.type_str in may for formal in schema.outputs]
        return self._open(node.input, inputs), self._open(node.output, outputs)

    def _open(self, names: Sequence[str], may: Sequence[bool]) -> set[str]:
        """Return the FP32 tensors among arguments that may be FP16; the last may repeat."""
        places = (min(index, len(may) - 1) for index in range(len(names)))
        return {n for n, at in zip(names, places, strict=True) if n in self._floats and may[at]}

    def _note_wants(self, node: NodeProto, *, halved: bool) -> None:
        flexible = self._flexible(node)[0] if halved else set()
        self._wanted_fp16 |= flexible
        self._wanted_fp32 |= _read(node) & self._floats - flexible

    def _emit(self, node: NodeProto, *, halved: bool) -> None:
        made = NodeProto()
        made.CopyFrom(node)
        outputs: set[str] = set()
        if halved:
            inputs, outputs = self._flexible(node)
            made.input[:] = [n + SUFFIX if n in inputs else n for n in node.input]
            made.output[:] = [n + SUFFIX if n in outputs else n for n in node.output]
            if node.op_type == "Cast" and outputs:
                made.attribute[0].i = TensorProto.FLOAT16
        self.nodes.append(made)
        for name in node.output:
            self._supply(name, halved=name in outputs)

    def _supply(self, name: str, *, halved: bool) -> None:
        """Cast a tensor that is made in one precision to the other, where that is read."""
        if name not in self._floats:
            return
        if halved and name in self._wanted_fp32:
            self.nodes.append(_cast(name + SUFFIX, name, TensorProto.FLOAT))
        if not halved and name in self._wanted_fp16:
            self.nodes.append(_cast(name, name + SUFFIX, TensorProto.FLOAT16))

    def _carried(self, initializers: Iterable[TensorProto]) -> list[TensorProto]:
        carried = [t for t in initializers if t.name not in self._weights]
        for name, tensor in self._weights.items():
            if name in self._wanted_fp16:
                carried.append(_halved(tensor))
            if name in self._wanted_fp32 or name not in self._wanted_fp16:
                carried.append(tensor)
        return carried


def _float_tensors(graph: GraphProto) -> set[str]:
    """Return the names of the FP32 tensors of a graph whose types were inferred.

    Raises:
        BuildFailedError: a type is missing.
    """
    values = (*graph.input, *graph.value_info, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        for name in filter(None, node.output):
            if not types.get(name):
                raise BuildFailedError(f"the type of '{name}', of {node.op_type}, is not known")
    return {name for name, kind in types.items() if kind == TensorProto.FLOAT}


def _settled(graph: GraphProto) -> set[str]:
    """Return the names of the tensors that follow from shapes and constants alone."""
    settled = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if _read(node) <= settled or node.op_type in _MEASURING:
            settled |= set(node.output)
    return settled


def _read(node: NodeProto) -> set[str]:
    """Return what a node reads, what its subgraphs take from outside among it."""
    inner = (reader for graph in subgraphs(node) for reader in graph.node)
    outside = (value.name for graph in subgraphs(node) for value in graph.output)
    return {n for n in (*node.input, *outside) if n} | {n for i in inner for n in _read(i)}


def _allows_half(constraint: onnx.defs.OpSchema.TypeConstraintParam) -> bool:
    allowed = constraint.allowed_type_strs
    return "tensor(float16)" in allowed and "tensor(float)" in allowed


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast {target}", to=kind)


def _halved(tensor: TensorProto) -> TensorProto:
    """Return a weight in FP16; infinities stay, what is merely large becomes the largest."""
    values = numpy_helper.to_array(tensor)
    clipped = np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), values)
    return numpy_helper.from_array(clipped.astype(np.float16), tensor.name + SUFFIX)
