# SPDX-License-Identifier: Apache-2.0
"""How many floating-point operations one operator takes, from the shapes alone.

A multiply-add is two operations. A pointwise function is one for each element
it writes, however costly the function: the figures compare models on one
device class, they do not predict a time. Operators that only move data are 0.
What is not known is None, never guessed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One operator with the shapes it is called with.

    Attributes:
        inputs, outputs: None for an optional one left out, and where the shape is not known.
    """

    op: str
    inputs: tuple[Shape | None, ...]
    outputs: tuple[Shape | None, ...]
    attributes: Mapping[str, Any]

    def source(self, index: int) -> Shape:
        """Return the shape of an input that the rule cannot do without."""
        return _known(self.inputs, index)

    def result(self, index: int = 0) -> Shape:
        """Return the shape of an output."""
        return _known(self.outputs, index)

    def has(self, index: int) -> bool:
        """Return whether an optional input is given."""
        return index < len(self.inputs) and self.inputs[index] is not None


class ShapeUnknownError(Exception):
    """A shape that a rule needs could not be inferred."""


def flops(call: Call) -> int | None:
    """Return the floating-point operations of a call; None where they are not known."""
    rule = _RULES.get(call.op)
    try:
        return None if rule is None else rule(call)
    except (ShapeUnknownError, LookupError, TypeError, ValueError):
        # The last three come of attributes and ranks that the operator does not allow, where
        # onnx's checker does not look: what it would compute is not known.
        return None


def _known(shapes: tuple[Shape | None, ...], index: int) -> Shape:
    shape = shapes[index] if index < len(shapes) else None
    if shape is None:
        raise ShapeUnknownError
    return shape


def _nothing(_: Call) -> int:
    return 0


def _pointwise(call: Call) -> int:
    return math.prod(call.result())


def _each_input(call: Call) -> int:
    return math.prod(call.source(0))


def _convolution(call: Call) -> int:
    """Multiply-adds of each output with its window of one group, and the bias."""
    _, channels_per_group, *kernel = call.source(1)
    elements = math.prod(call.result())
    return elements * (2 * channels_per_group * math.prod(kernel) + call.has(2))


def _transposed_convolution(call: Call) -> int:
    """Multiply-adds that scatter each input over its window of one group, and the bias."""
    _, channels_per_group, *kernel = call.source(1)
    window = channels_per_group * math.prod(kernel)
    return 2 * math.prod(call.source(0)) * window + call.has(2) * math.prod(call.result())


def _matrix_product(call: Call) -> int:
    return 2 * math.prod(call.result()) * call.source(0)[-1]


def _general_matrix_product(call: Call) -> int:
    depth = call.source(0)[0 if call.attributes.get("transA") else -1]
    return math.prod(call.result()) * (2 * depth + call.has(2))


def _recurrent(gates: int, state: int) -> Callable[[Call], int]:
    """Return the rule of a cell with so many gates and state operations an element.

    A step multiplies the input and the hidden state into every gate, adds both (and two
    biases), applies the gate's function, and updates the state.
    """

    def rule(call: Call) -> int:
        steps_and_batch = math.prod(call.source(0)[:2])
        directions, _, width = call.source(1)
        hidden = call.source(2)[-1]
        gate = 2 * (width + hidden) + 2 + 2 * call.has(3)
        return directions * steps_and_batch * hidden * (gates * gate + state)

    return rule


def _pool(call: Call) -> int:
    kernel: list[int] = call.attributes["kernel_shape"]
    return math.prod(call.result()) * math.prod(kernel)


def _times(factor: int) -> Callable[[Call], int]:
    def rule(call: Call) -> int:
        return factor * math.prod(call.result())

    return rule


_NEIGHBOURS: dict[bytes, int] = {b"nearest": 0, b"linear": 2, b"cubic": 4}


def _resize(call: Call) -> int:
    """Multiply-adds over the neighbours of each output: 2 (linear) or 4 (cubic) a dimension."""
    neighbours = _NEIGHBOURS[call.attributes.get("mode", b"nearest")]
    pairs = zip(call.source(0), call.result(), strict=True)
    scaled = sum(before != after for before, after in pairs)
    return 2 * math.prod(call.result()) * int(neighbours**scaled) if scaled else 0


def _names(words: str) -> list[str]:
    return words.split()


_MOVES = _names(
    "BitCast Cast CastLike Compress Concat Constant ConstantOfShape "
    "DepthToSpace Dropout Expand EyeLike Flatten Gather GatherElements GatherND Identity NonZero "
    "OneHot Pad Range Reshape ReverseSequence ScatterElements ScatterND Shape Size Slice "
    "SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze"
)
_POINTWISE = _names(
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr "
    "BitwiseXor Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual "
    "HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul "
    "Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign "
    "Sqrt Sub Sum Tan Tanh ThresholdedRelu Where Xor"
)
_REDUCTIONS = _names(
    "ArgMax ArgMin CumSum GlobalAveragePool GlobalMaxPool ReduceL1 ReduceL2 ReduceLogSum "
    "ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare TopK"
)

_RULES: dict[str, Callable[[Call], int]] = {
    **dict.fromkeys([*_MOVES, "ai.onnx.ml.ArrayFeatureExtractor"], _nothing),
    **dict.fromkeys(_POINTWISE, _pointwise),
    **dict.fromkeys(_REDUCTIONS, _each_input),
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _general_matrix_product,
    "MatMul": _matrix_product,
    "LSTM": _recurrent(gates=4, state=9),
    "GRU": _recurrent(gates=3, state=8),
    "RNN": _recurrent(gates=1, state=1),
    "AveragePool": _pool,
    "MaxPool": _pool,
    "LpPool": _pool,
    "Softmax": _times(5),
    "LogSoftmax": _times(5),
    "BatchNormalization": _times(2),
    "InstanceNormalization": _times(7),
    "LayerNormalization": _times(7),
    "GroupNormalization": _times(7),
    "QuantizeLinear": _times(2),
    "DequantizeLinear": _times(2),
    "Resize": _resize,
}
