# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: graphs optimised before they reach the device, and static INT8.

FP32 is optimised here as far as stays right on every processor that may load
it. INT8 is QDQ (`compile.quantize.qdq`), of all layers or of all but those it hurts.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from insight_edge.compile.backends.onnxruntime_operators import unsupported_operators
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.plugins.seam import LEFT_OUT, SCAN
from insight_edge.compile.quantize.int8 import (
    nothing_to_quantize,
    recurrent_refusal,
    saturates,
    vnni,
)
from insight_edge.compile.quantize.sensitivity import SENSITIVITY_FILE
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain, toolchain_here
from insight_edge.documents.codec import encode_json
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.runtime.processor import isa_extensions
from insight_edge.selection.footprint import Footprint

ENGINE = "onnxruntime"
PACKAGES = ("onnxruntime", "onnx")

GPU_DISTRIBUTION = "onnxruntime-gpu"
"""ONNX Runtime with the CUDA provider; it takes the place of the one for CPUs."""

CUDA = "cuda"
"""Option of FP32 that runs on an NVIDIA GPU."""

UNQUANTISED = ("LSTM", "GRU", "RNN")
"""Left in FP32 by the quantiser."""

FOOTPRINT = Footprint(base_bytes=70 * 2**20, weights=4.0, activations=3.0)
"""More than 1.31 was seen to take: 64 MiB with one operator, 3.3 copies of the weights of
convolutions, 2.2 times the activations."""


class OnnxRuntimeBackend:
    """Builds for the engine `onnxruntime`."""

    def toolchain(self) -> Toolchain | Missing:
        """Return the versions of the packages that builds depend on."""
        gpu = (GPU_DISTRIBUTION, *PACKAGES[1:])
        return toolchain_here(ENGINE, gpu if _has_cuda() else PACKAGES)

    def targets(self) -> tuple[Target, ...]:
        """Return FP32, INT8, and FP32 on CUDA where the package for it is installed.

        Half precisions have no kernels on CPUs.
        """
        cuda = Target(backend=ENGINE, precision="fp32", options={CUDA: True})
        return (
            Target(backend=ENGINE, precision="fp32"),
            Target(backend=ENGINE, precision="int8"),
            *([cuda] if _has_cuda() else []),
        )

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:
        """Return what has no kernel, why INT8 would gain nothing, or that there is no GPU."""
        if CUDA in target.options and not any(
            accelerator.compute_capability for accelerator in profile.accelerators
        ):
            return f"{profile.id} has no NVIDIA GPU"
        workload = source.workload
        refusal = unsupported_operators(workload)
        if refusal is not None or target.precision != "int8":
            return refusal
        return recurrent_refusal(workload, UNQUANTISED) or nothing_to_quantize(workload)

    def footprint(self, target: Target) -> Footprint | None:
        """Return what the engine's process takes on a CPU."""
        return None if CUDA in target.options else FOOTPRINT

    def mends(self, target: Target) -> bool:
        """Return whether layers that INT8 hurts can be found and left out."""
        return target.token == f"{ENGINE}:int8"

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact of a job."""
        if SCAN in job.target.options:
            return _scan(job, directory)
        if job.target.precision == "int8":
            return _build_int8(job, directory)
        return _build_fp32(job, directory)


def _build_fp32(job: BuildJob, directory: Path) -> Artifact:
    """Optimise the graph ahead of time, up to the last level where that can be relied on.

    The last level lays weights out in blocks whose size the processor decides (16 with AVX-512,
    8 without), and the file then holds for processors of that kind alone. A manifest can demand
    an extension but not forbid one, so it is done here only where this machine and the target
    both have AVX-512. Otherwise the engine does it at load, which costs time and memory there. For
    a GPU only what holds for any processor is done: fusions made here would be of the CPU's.
    """
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    cuda = CUDA in job.target.options
    blocks = _has_avx512(job.isa) and _has_avx512(isa_extensions()) and not cuda
    entry = f"{ENGINE}-fp32-cuda.onnx" if cuda else f"{ENGINE}-fp32.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        levels.ORT_ENABLE_BASIC if cuda
        else levels.ORT_ENABLE_ALL if blocks else levels.ORT_ENABLE_EXTENDED
    )  # fmt: skip
    options.optimized_model_filepath = str(directory / entry)
    onnxruntime.InferenceSession(job.model, options, providers=["CPUExecutionProvider"])
    return Artifact(
        entry=entry,
        files=(entry,),
        settings={"optimized": "basic", "provider": "cuda"}
        if cuda
        else {"optimized": "yes" if blocks else "extended"},
        # Fused operators are ONNX Runtime's own: an older one may not know them.
        engine_versions=_this_release_or_later(onnxruntime.__version__),
        isa=("avx512f",) if blocks else (),
    )


def _build_int8(job: BuildJob, directory: Path) -> Artifact:
    """Quantise with scales from the calibration rows.

    An artifact with 8-bit weights demands VNNI; without it they have 7 bits. Where the job names
    layers, these stay as they are.
    """
    import onnxruntime

    from insight_edge.compile.quantize.qdq import write_qdq

    left_out = tuple(job.target.options.get(LEFT_OUT, ()))
    entry = f"{ENGINE}-int8-mixed.onnx" if left_out else f"{ENGINE}-int8.onnx"
    write_qdq(job, directory / entry, left_out=left_out)
    return Artifact(
        entry=entry,
        files=(entry,),
        settings={"optimized": "no", "reduce_range": "yes" if saturates(job) else "no"},
        engine_versions=_this_release_or_later(onnxruntime.__version__),
        isa=vnni(job),
    )


def _scan(job: BuildJob, directory: Path) -> Artifact:
    """Write down what quantising each layer alone does."""
    from insight_edge.compile.quantize.qdq import sensitivity_of

    (directory / SENSITIVITY_FILE).write_bytes(encode_json(sensitivity_of(job)))
    return Artifact(entry=SENSITIVITY_FILE, files=(SENSITIVITY_FILE,))


def _has_cuda() -> bool:
    try:
        version(GPU_DISTRIBUTION)
    except PackageNotFoundError:
        return False
    return True


def _has_avx512(isa: tuple[str, ...]) -> bool:
    return "avx512f" in isa


def _this_release_or_later(version: str) -> str:
    """Return the requirement that an engine is at least of this minor release."""
    major, minor, *_ = version.split(".")
    return f">={major}.{minor}"
