# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: graphs optimised before they reach the device, and static INT8.

FP32 is optimised here as far as stays right on every processor that may load
it. INT8 is QDQ in the flavour that ONNX Runtime is fast with: unsigned
asymmetric activations, signed symmetric weights a channel.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from insight_edge.compile.calibration import Arrays, calibration_feeds
from insight_edge.compile.int8 import nothing_to_quantize, recurrent_refusal, saturates, vnni
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.source import SourceModel
from insight_edge.compile.toolchain import Toolchain, toolchain_here
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.runtime.processor import isa_extensions

ENGINE = "onnxruntime"
PACKAGES = ("onnxruntime", "onnx")

MIN_INT8_OPSET = 13
"""The first in which a scale may be given for each channel."""

UNQUANTISED = ("LSTM", "GRU", "RNN")
"""Left in FP32 by the quantiser."""


class OnnxRuntimeBackend:
    """Builds for the engine `onnxruntime`."""

    def toolchain(self) -> Toolchain | Missing:
        """Return the versions of the packages that builds depend on."""
        return toolchain_here(ENGINE, PACKAGES)

    def targets(self) -> tuple[Target, ...]:
        """Return FP32 and INT8; half precisions have no kernels on CPUs."""
        return (
            Target(backend=ENGINE, precision="fp32"),
            Target(backend=ENGINE, precision="int8"),
        )

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:  # noqa: ARG002 (the profile changes how, not whether)
        """Return why INT8 would gain nothing."""
        if target.precision != "int8":
            return None
        workload = source.workload
        if workload.opset < MIN_INT8_OPSET:
            return f"a scale a channel needs opset {MIN_INT8_OPSET}, the model has {workload.opset}"
        return recurrent_refusal(workload, UNQUANTISED) or nothing_to_quantize(workload)

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact of a job."""
        if job.target.precision == "int8":
            return _build_int8(job, directory)
        return _build_fp32(job, directory)


def _build_fp32(job: BuildJob, directory: Path) -> Artifact:
    """Optimise the graph ahead of time, up to the last level where that can be relied on.

    The last level lays weights out in blocks whose size the processor decides (16 with AVX-512,
    8 without), and the file then holds for processors of that kind alone. A manifest can demand
    an extension but not forbid one, so it is done here only where this machine and the target
    both have AVX-512. Otherwise the engine does it at load, which costs time and memory there.
    """
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    blocks = _has_avx512(job.isa) and _has_avx512(isa_extensions())
    entry = f"{ENGINE}-fp32.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if blocks else levels.ORT_ENABLE_EXTENDED
    )
    options.optimized_model_filepath = str(directory / entry)
    onnxruntime.InferenceSession(job.model, options, providers=["CPUExecutionProvider"])
    return Artifact(
        entry=entry,
        files=(entry,),
        settings={"optimized": "yes" if blocks else "extended"},
        # Fused operators are ONNX Runtime's own: an older one may not know them.
        engine_versions=_this_release_or_later(onnxruntime.__version__),
        isa=("avx512f",) if blocks else (),
    )


def _build_int8(job: BuildJob, directory: Path) -> Artifact:
    """Quantise with scales from the calibration rows.

    Without VNNI, products of 8-bit numbers are summed in pairs in 16 bits and saturate, so
    weights keep to 7 bits there. An artifact with 8-bit weights demands VNNI.
    """
    import onnx
    import onnxruntime
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    narrow = saturates(job)
    entry = f"{ENGINE}-int8.onnx"
    with TemporaryDirectory() as scratch:
        quant_pre_process(job.model, Path(scratch) / "prepared.onnx")
        prepared = onnx.load(Path(scratch) / "prepared.onnx")
    quantize_static(
        prepared,
        directory / entry,
        _Reader(job),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=narrow,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )
    return Artifact(
        entry=entry,
        files=(entry,),
        settings={"optimized": "no", "reduce_range": "yes" if narrow else "no"},
        engine_versions=_this_release_or_later(onnxruntime.__version__),
        isa=vnni(job),
    )


class _Reader:
    """Calibration rows as the quantiser asks for them."""

    def __init__(self, job: BuildJob) -> None:
        self._feeds = calibration_feeds(job)

    def get_next(self) -> Arrays | None:
        """Return the next rows by input name, None after the last."""
        return next(self._feeds, None)


def _has_avx512(isa: tuple[str, ...]) -> bool:
    return "avx512f" in isa


def _this_release_or_later(version: str) -> str:
    """Return the requirement that an engine is at least of this minor release."""
    major, minor, *_ = version.split(".")
    return f">={major}.{minor}"
