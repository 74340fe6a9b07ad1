# SPDX-License-Identifier: Apache-2.0
"""Which standard operators onnx2tf does not lower to TFLite, as data, for a plan.

Read from the registry of onnx2tf 2.6.9 (`get_supported_onnx_ops`) for opsets 11
to 25. The converter ends well with what it does not know and writes a custom
operator in its place, which no engine has. That an operator is lowered does not
say for which types and attributes. A test compares the list with what is installed.
"""

from insight_edge.compile.refusal import Refusal, operator_refusal
from insight_edge.documents.workload import Workload

UNSUPPORTED = frozenset({
    "ConcatFromSequence", "ImageDecoder", "Multinomial", "Optional", "OptionalGetElement",
    "RMSNormalization", "RegexFullMatch", "Scan", "SequenceAt", "SequenceConstruct",
    "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap",
    "SplitToSequence", "StringConcat", "StringSplit", "Swish", "TfIdfVectorizer",
})  # fmt: skip


def unsupported_operators(workload: Workload) -> Refusal | None:
    """Return why a model does not convert, or None where every operator is lowered."""
    return operator_refusal(
        workload, UNSUPPORTED, "has no counterpart for {}: it becomes a custom operator"
    )
