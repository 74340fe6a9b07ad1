# SPDX-License-Identifier: Apache-2.0
"""Operators whose right answer the workshop does not know, so that no artifact could be proven.

They draw random numbers, or the reference engine (ONNX Runtime) does not compute
them, or computes them otherwise than the standard says: found by the conformance
corpora. Everything else is for backends to refuse.
"""

from collections.abc import Callable, Mapping

from onnx import FunctionProto, GraphProto, NodeProto, TensorProto
from onnx.helper import get_attribute_value
from onnx.numpy_helper import to_array

from insight_edge.compile.graph.wiring import node_label
from insight_edge.errors import ModelError

STANDARD = frozenset({"", "ai.onnx"})

RANDOM = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
})  # fmt: skip

RECURRENT = frozenset({"GRU", "LSTM", "RNN"})

Constants = Mapping[str, TensorProto]


def refuse_unprovable(body: GraphProto | FunctionProto) -> None:
    """Raise where nobody here knows what an operator answers; graphs inside it are not looked at.

    Args:
        body: whose tensors and wiring were checked.

    Raises:
        ModelError: nobody does; it names the operator.
    """
    constants = _constants(body)
    for index, node in enumerate(body.node):
        for met, reason, hint in _REASONS:
            if node.domain in STANDARD and met(node, constants):
                raise ModelError(f"{node_label(node, index)} {reason}", hint=hint)


def _constants(body: GraphProto | FunctionProto) -> Constants:
    """Return the tensors that a body carries, by name."""
    carried = body.initializer if isinstance(body, GraphProto) else ()
    found = {tensor.name: tensor for tensor in carried}
    constants = (node for node in body.node if node.op_type == "Constant")
    found.update(
        (name, attribute.t)
        for node in constants
        for attribute in node.attribute
        if attribute.name == "value"
        for name in node.output
    )
    return found


def _draws(node: NodeProto, constants: Constants) -> bool:
    """Return whether it draws numbers; whether a dropout does can be left to the caller."""
    if node.op_type != "Dropout":
        return node.op_type in RANDOM
    if len(node.input) < 3 or not node.input[2]:
        return False
    training = constants.get(node.input[2])
    return training is None or bool(to_array(training).any())


def _steps_second(node: NodeProto, constants: Constants) -> bool:  # noqa: ARG001 (one of `_REASONS`)
    return node.op_type in RECURRENT and _attribute(node, "layout") == 1


def _aligns_corners_of_parts(node: NodeProto, constants: Constants) -> bool:
    """Return whether it aligns corners and may be asked for a part of a pixel."""
    if node.op_type != "Resize" or len(node.input) < 3 or not node.input[2]:
        return False
    if _attribute(node, "coordinate_transformation_mode") != b"align_corners":
        return False
    scales = constants.get(node.input[2])
    return scales is None or any(_is_broken(float(scale)) for scale in to_array(scales).flat)


def _is_broken(scale: float) -> bool:
    return bool(scale % 1) and bool(1 / scale % 1)


def _unpools_elsewhere(node: NodeProto, constants: Constants) -> bool:  # noqa: ARG001 (one of `_REASONS`)
    return node.op_type == "MaxUnpool" and len(node.input) > 2 and bool(node.input[2])


def _attribute(node: NodeProto, name: str) -> object:
    found = (a for a in node.attribute if a.name == name and not a.ref_attr_name)
    return next((get_attribute_value(a) for a in found), None)


_REASONS: tuple[tuple[Callable[[NodeProto, Constants], bool], str, str], ...] = (
    (
        _draws,
        "draws random numbers, so that no answer can be compared with another",
        "export the model in evaluation mode, or pass the numbers in as an input",
    ),
    (
        _steps_second,
        "has the batch first (layout 1), which ONNX Runtime does not compute",
        "export it with layout 0 and transpose",
    ),
    (
        _aligns_corners_of_parts,
        "aligns corners at scales that are not whole, which ONNX Runtime computes in its own way",
        "resize to `sizes`, or by whole scales that the model carries",
    ),
    (
        _unpools_elsewhere,
        "is told the shape to unpool to, which ONNX Runtime does not obey",
        "leave `output_shape` out and pad",
    ),
)
