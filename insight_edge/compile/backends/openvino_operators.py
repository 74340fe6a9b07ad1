# SPDX-License-Identifier: Apache-2.0
"""Which standard operators OpenVINO's ONNX frontend does not convert, as data, for a plan.

Its frontend was asked: for each operator of opsets 11 to 25 a graph of that one
alone was read by openvino 2026.4.1, and those are in here of which it says
that there is no conversion rule. What a rule does not take is in `openvino_rules`, as
far as it is known. A test asks what is installed again.
"""

from insight_edge.compile.backends.openvino_rules import RULES
from insight_edge.compile.refusals.refusal import Refusal, operator_refusal
from insight_edge.compile.refusals.rules import rule_refusal
from insight_edge.documents.workload import Workload

UNSUPPORTED = frozenset({
    "DeformConv", "Det", "ImageDecoder", "MaxUnpool", "MelWeightMatrix", "Optional",
    "OptionalGetElement", "OptionalHasElement", "RegexFullMatch", "SequenceMap", "StringConcat",
    "StringNormalizer", "StringSplit", "TensorScatter", "TfIdfVectorizer",
})  # fmt: skip
"""Without the other operators on sequences: alone they are not converted, in some pairs they are,
such as a split that is joined again, and only a build can tell."""


def unsupported_operators(workload: Workload) -> Refusal | None:
    """Return why OpenVINO cannot read a model, or None where nothing is known against it."""
    classical = {o.op for o in workload.operations if o.op.startswith("ai.onnx.ml.")}
    return (
        operator_refusal(workload, classical, "cannot read {}")
        or operator_refusal(workload, UNSUPPORTED, "has no conversion rule for {}")
        or _passed_on(workload)
        or rule_refusal(workload, RULES)
    )


def _passed_on(workload: Workload) -> Refusal | None:
    """Refuse an output that is an input as well: converted, its name is lost to the input's."""
    outputs = {spec.name for spec in workload.outputs}
    names = [spec.name for spec in workload.inputs if spec.name in outputs]
    if not names:
        return None
    return Refusal(
        f"loses the name of an output that is an input as well ({', '.join(names)})",
        hint="leave it out of the outputs: the application has it; or export it with an Identity",
    )
