# SPDX-License-Identifier: Apache-2.0
"""Which standard operators onnx2tf does not lower to TFLite, as data, for a plan.

Read from the registry of onnx2tf 2.6.9 (`get_supported_onnx_ops`) for opsets 11
to 25. The converter ends well with what it does not know and writes a custom
operator in its place, which no engine has. Of which types and attributes what it knows is
not lowered is in `tflite_rules`. A test compares the list with what is installed.
"""

from typing import TYPE_CHECKING

from insight_edge.compile.backends.tflite_rules import RULES
from insight_edge.compile.refusals.refusal import Refusal, operator_refusal
from insight_edge.compile.refusals.rules import rule_refusal
from insight_edge.documents.workload import Workload

if TYPE_CHECKING:
    from onnx import NodeProto

UNSUPPORTED = frozenset({
    "ConcatFromSequence", "ImageDecoder", "Multinomial", "Optional", "OptionalGetElement",
    "RMSNormalization", "RegexFullMatch", "Scan", "SequenceAt", "SequenceConstruct",
    "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap",
    "SplitToSequence", "StringConcat", "StringSplit", "Swish", "TfIdfVectorizer",
})  # fmt: skip


DECOMPOSED = frozenset({
    "Attention", "BlackmanWindow", "CenterCropPad", "GroupNormalization", "HammingWindow",
    "HannWindow", "NegativeLogLikelihoodLoss", "RMSNormalization", "RotaryEmbedding",
    "SoftmaxCrossEntropyLoss", "Swish",
})  # fmt: skip
"""Said in other operators: these are lowered not at all, in part, or not as the standard says (a
loss of weights that add up to less than nothing is 0)."""


def is_said_in_others(node: "NodeProto") -> bool:
    """Return whether the converter is given the body that onnx has of an operator.

    TFLite's Elu has no slope, and its Gelu no approximation.
    """
    given = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "Elu":
        return "alpha" in given and given["alpha"].f != 1
    if node.op_type == "Gelu":
        return "approximate" in given and given["approximate"].s == b"tanh"
    return node.op_type in DECOMPOSED


def unsupported_operators(workload: Workload) -> Refusal | None:
    """Return why a model does not convert, or None where nothing is known against it."""
    lacking = UNSUPPORTED - DECOMPOSED
    refusal = operator_refusal(
        workload, lacking, "has no counterpart for {}: it becomes a custom operator"
    )
    return refusal or rule_refusal(workload, RULES)
