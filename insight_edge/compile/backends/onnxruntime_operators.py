# SPDX-License-Identifier: Apache-2.0
"""Which standard operators ONNX Runtime has no kernel for on CPUs, as data, for a plan.

Read from the kernels that onnxruntime 1.31.1 says it has (`get_all_opkernel_def`):
an operator is not there where no kernel of the CPU is of its version and onnx has no
body of standard operators for it. Sequences and strings it has; types that an operator
has no kernel for are in `onnxruntime_rules`. A test compares the lists with what is
installed.
"""

from insight_edge.compile.backends.onnxruntime_rules import RULES
from insight_edge.compile.refusals.refusal import Refusal, named, operator_refusal
from insight_edge.compile.refusals.rules import rule_refusal
from insight_edge.documents.workload import Workload

UNSUPPORTED = frozenset({"ImageDecoder"})

UNSUPPORTED_AT_22 = frozenset({
    "Bernoulli", "GlobalLpPool", "MaxRoiPool", "Multinomial", "RandomNormal", "RandomNormalLike",
    "RandomUniform", "RandomUniformLike", "RoiAlign",
})  # fmt: skip
"""Of the version that opset 22 brought, and from then on; the older one has a kernel."""

BEFORE_22 = 21


def unsupported_operators(workload: Workload) -> Refusal | None:
    """Return why ONNX Runtime cannot run a model, or None where it has every operator."""
    refusal = operator_refusal(
        workload, UNSUPPORTED, "has no kernel for {} on a CPU"
    ) or rule_refusal(workload, RULES)
    if refusal is not None or workload.opset <= BEFORE_22:
        return refusal
    met = sorted({operation.op for operation in workload.operations} & UNSUPPORTED_AT_22)
    if not met:
        return None
    return Refusal(
        f"has no kernel for {', '.join(met)} of opset {workload.opset}",
        hint=f"export at opset 18: {named(workload, met)}",
    )
