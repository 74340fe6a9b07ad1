# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: its own format with FP32 or FP16 weights, and INT8 by NNCF (`quantize.nncf_int8`).

The precision that the engine computes in is always written down. Left to
itself it is bfloat16 on a CPU that has it and float32 on one that has not, and
the same bundle answers differently.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insight_edge.compile.backends.openvino_operators import unsupported_operators
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.plugins.seam import LEFT_OUT, SCAN
from insight_edge.compile.quantize.int8 import nothing_to_quantize, recurrent_refusal, vnni
from insight_edge.compile.quantize.sensitivity import SENSITIVITY_FILE
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain, toolchain_here
from insight_edge.documents.codec import encode_json
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.selection.footprint import Footprint

if TYPE_CHECKING:
    import openvino

ENGINE = "openvino"
PACKAGES = ("openvino", "nncf", "onnx", "numpy")

BF16 = ("amx_bf16", "avx512_bf16")
"""Extensions without which bfloat16 is emulated, and slower than FP32."""

UNQUANTISED = ("GRU", "RNN")
"""Left in FP32 by NNCF."""

FOOTPRINT = Footprint(base_bytes=110 * 2**20, weights=4.0, activations=3.0)
"""More than 2026.4 was seen to take: 100 MiB with small models, 2.6 copies of the weights of
convolutions, 2.3 times the activations."""

WEIGHTS = "weights"
"""Option of INT8: weights alone, which saves size and, where they are what is waited for, time."""

MATRICES = frozenset({"MatMul", "Gemm"})


class OpenVinoBackend:
    """Builds for the engine `openvino`."""

    def toolchain(self) -> Toolchain | Missing:
        """Return the versions of the packages that builds depend on."""
        return toolchain_here(ENGINE, PACKAGES)

    def targets(self) -> tuple[Target, ...]:
        """Return FP32, BF16, weights in FP16, static INT8 and weights in INT8."""
        return (
            Target(backend=ENGINE, precision="fp32"),
            Target(backend=ENGINE, precision="bf16"),
            Target(backend=ENGINE, precision="fp16"),
            Target(backend=ENGINE, precision="int8"),
            Target(backend=ENGINE, precision="int8", options={WEIGHTS: True}),
        )

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:
        """Return why the model cannot be read, or the precision gains nothing."""
        workload = source.workload
        unread = unsupported_operators(workload)
        if unread is not None:
            return unread
        if target.precision == "bf16" and not set(BF16) & set(profile.cpu.isa.value):
            return f"{profile.id} has none of {', '.join(BF16)}: bfloat16 would be emulated"
        if WEIGHTS in target.options:
            matrices = MATRICES & {operation.op for operation in workload.operations}
            return None if matrices else "has no matrix product whose weights NNCF compresses"
        if target.precision == "int8":
            return recurrent_refusal(workload, UNQUANTISED) or nothing_to_quantize(workload)
        return None

    def only_if_asked(
        self, source: SourceModel, target: Target, profile: HardwareProfile
    ) -> str | None:
        """Return why a target that only saves size is not tried where FP32 has room."""
        limit = profile.limits.artifact_bytes
        crowded = limit is not None and source.workload.parameter_bytes > limit
        if target.precision == "fp16" and not crowded:
            return "half the size of FP32, and computes as it does"
        if WEIGHTS in target.options and not crowded:
            return "a quarter of the size of FP32, and computes as it does"
        return None

    def footprint(self, target: Target) -> Footprint | None:  # noqa: ARG002 (the same for all)
        """Return what the engine's process takes."""
        return FOOTPRINT

    def mends(self, target: Target) -> bool:
        """Return whether layers that INT8 hurts can be found and left out."""
        return target.token == f"{ENGINE}:int8"

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact of a job."""
        # Its packages send usage data home unless they believe to run in a CI job.
        os.environ["CI"] = "true"
        import openvino

        from insight_edge.compile.backends.openvino_graph import as_standard

        precision = job.target.precision
        model = as_standard(_converted(job.model))
        if SCAN in job.target.options:
            return _scan(model, job, directory)
        if precision == "int8":
            model = _int8(model, job)
        stem = job.target.token.replace(":", "-").replace("+", "-")
        entry = directory / f"{stem}.xml"
        openvino.save_model(model, entry, compress_to_fp16=precision == "fp16")
        _unindent(entry)
        return Artifact(
            entry=entry.name,
            files=(entry.name, *_weights_file(entry)),
            settings={"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"},
            engine_versions=f">={'.'.join(openvino.__version__.split('.')[:2])}",
            isa=_demands(job),
        )


def _unindent(graph: Path) -> None:
    """Rewrite a file without its indentation, a quarter of it."""
    graph.write_bytes(re.sub(rb">\s+<", b"><", graph.read_bytes()))


def _converted(path: str) -> "openvino.Model":
    """Return the model, simplified ahead of time unless that is more than OpenVINO can do."""
    import openvino

    try:
        return openvino.convert_model(path)
    except RuntimeError:
        # Its passes ask dynamic shapes for their sizes; the reader alone leaves that to the device.
        return openvino.Core().read_model(path)


def _weights_file(entry: Path) -> tuple[str, ...]:
    """Return the name of the file of weights; of a model without any it is empty, and left out."""
    weights = entry.with_suffix(".bin")
    if weights.stat().st_size:
        return (weights.name,)
    weights.unlink()
    return ()


def _int8(model: "openvino.Model", job: BuildJob) -> Any:
    from insight_edge.compile.quantize.nncf_int8 import quantized, weights_quantized

    if WEIGHTS in job.target.options:
        return weights_quantized(model)
    return quantized(model, job, left_out=tuple(job.target.options.get(LEFT_OUT, ())))


def _scan(model: "openvino.Model", job: BuildJob, directory: Path) -> Artifact:
    """Write down what quantising each layer alone does."""
    from insight_edge.compile.quantize.nncf_int8 import sensitivity_of

    (directory / SENSITIVITY_FILE).write_bytes(encode_json(sensitivity_of(model, job)))
    return Artifact(entry=SENSITIVITY_FILE, files=(SENSITIVITY_FILE,))


def _demands(job: BuildJob) -> tuple[str, ...]:
    """Return the extension without which the artifact would be slow or answer otherwise."""
    if job.target.precision == "bf16":
        return tuple(name for name in BF16 if name in job.isa)[-1:]
    static = job.target.precision == "int8" and WEIGHTS not in job.target.options
    return vnni(job) if static else ()
