# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: its own format with FP32 weights, and static INT8 by NNCF.

The precision that the engine computes in is always written down. Left to
itself it is bfloat16 on a CPU that has it and float32 on one that has not, and
the same bundle answers differently.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insight_edge.compile.calibration import calibration_feeds
from insight_edge.compile.int8 import nothing_to_quantize, recurrent_refusal, saturates, vnni
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.source import SourceModel
from insight_edge.compile.toolchain import Toolchain, toolchain_here
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target

if TYPE_CHECKING:
    import openvino

ENGINE = "openvino"
PACKAGES = ("openvino", "nncf", "onnx", "numpy")

BF16 = ("amx_bf16", "avx512_bf16")
"""Extensions without which bfloat16 is emulated, and slower than FP32."""

UNQUANTISED = ("GRU", "RNN")
"""Left in FP32 by NNCF."""

SIGNED_ACTIVATIONS = frozenset(
    {"Tanh", "Elu", "Erf", "Gelu", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Selu", "Softplus"}
)
"""What writes negative numbers, of which a symmetric unsigned scale keeps nothing."""


class OpenVinoBackend:
    """Builds for the engine `openvino`."""

    def toolchain(self) -> Toolchain | Missing:
        """Return the versions of the packages that builds depend on."""
        return toolchain_here(ENGINE, PACKAGES)

    def targets(self) -> tuple[Target, ...]:
        """Return FP32, BF16 and INT8."""
        return (
            Target(backend=ENGINE, precision="fp32"),
            Target(backend=ENGINE, precision="bf16"),
            Target(backend=ENGINE, precision="int8"),
        )

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:
        """Return why the model cannot be read, or the precision gains nothing."""
        workload = source.workload
        classical = sorted({o.op for o in workload.operations if o.op.startswith("ai.onnx.ml.")})
        if classical:
            return f"cannot read {', '.join(classical)}"
        if target.precision == "bf16" and not set(BF16) & set(profile.cpu.isa.value):
            return f"{profile.id} has none of {', '.join(BF16)}: bfloat16 would be emulated"
        if target.precision == "int8":
            return recurrent_refusal(workload, UNQUANTISED) or nothing_to_quantize(workload)
        return None

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact of a job."""
        # Its packages send usage data home unless they believe to run in a CI job.
        os.environ["CI"] = "true"
        import openvino

        precision = job.target.precision
        model = openvino.convert_model(job.model)
        if precision == "int8":
            model = _quantize(model, job)
        stem = f"{ENGINE}-{precision}"
        openvino.save_model(model, directory / f"{stem}.xml", compress_to_fp16=False)
        return Artifact(
            entry=f"{stem}.xml",
            files=(f"{stem}.xml", f"{stem}.bin"),
            settings={"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"},
            engine_versions=f">={'.'.join(openvino.__version__.split('.')[:2])}",
            isa=_demands(job),
        )


def _demands(job: BuildJob) -> tuple[str, ...]:
    """Return the extension without which the artifact would be slow or answer otherwise."""
    if job.target.precision == "bf16":
        return tuple(name for name in BF16 if name in job.isa)[-1:]
    return vnni(job) if job.target.precision == "int8" else ()


def _quantize(model: "openvino.Model", job: BuildJob) -> Any:
    """Quantise with scales from the calibration rows.

    No `model_type` is given: what NNCF does by itself for transformers (SmoothQuant) ruined the
    answers of one without a word.
    """
    import nncf
    import onnx
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    feeds = list(calibration_feeds(job))
    preset = _preset({node.op_type for node in onnx.load(job.model).graph.node})
    fix = OverflowFix.ENABLE if saturates(job) else OverflowFix.DISABLE
    return nncf.quantize(
        model,
        nncf.Dataset(feeds),
        subset_size=len(feeds),
        preset=nncf.QuantizationPreset(preset),
        target_device=nncf.TargetDevice.CPU,
        advanced_parameters=AdvancedQuantizationParameters(overflow_fix=fix),
    )


def _preset(ops: set[str]) -> str:
    """Return `performance` (symmetric) where activations are unsigned, else `mixed`."""
    return "performance" if "Relu" in ops and not ops & SIGNED_ACTIVATIONS else "mixed"
