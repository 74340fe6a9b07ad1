# SPDX-License-Identifier: Apache-2.0
"""TensorRT: plans for NVIDIA GPUs, built without one where TensorRT-RTX can.

Networks are strongly typed: half precision and INT8 are written into the graph
before it is parsed. TensorRT-RTX builds here, ahead of time, for the GPUs that it
supports. The others (Jetson, data centre) need TensorRT itself, which builds on
the very GPU: a job for a device of the profile. Nothing is executed here.

A plan of TensorRT-RTX carries kernels as source, up to 0.15 MB a layer of INT8:
that of a small network is larger than its FP32.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from insight_edge.compile.backends.tensorrt_network import MAX_BATCH, flavour_for, release_of
from insight_edge.compile.backends.tensorrt_process import plan_from_graph
from insight_edge.compile.backends.tensorrt_rules import RULES
from insight_edge.compile.backends.tensorrt_timings import Timings
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.quantize.int8 import nothing_to_quantize, recurrent_refusal
from insight_edge.compile.refusals.refusal import OnDeviceOnly, Refusal, named
from insight_edge.compile.refusals.rules import rule_refusal
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain, toolchain_apart
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import Accelerator, HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.workload import Workload
from insight_edge.runtime.engines.tensorrt_flavours import (
    CAPABILITIES_SETTING,
    FLAVOUR_SETTING,
    FULL,
    MAX_BATCH_SETTING,
    RTX,
    TIMINGS_SETTING,
    Flavour,
)

ENGINE = "tensorrt"
PACKAGES = (
    "tensorrt-rtx-cu13-libs",
    "tensorrt-rtx-cu13-bindings",
    "onnx",
    "onnxruntime",
    "numpy",
)

DTYPES = frozenset({"float32", "float16", "int64", "int32", "int8", "uint8", "bool"})
"""What a tensor may be at the face of a plan."""

QUANTISED_FROM = 13
"""The first opset whose quantised numbers have a scale for each channel."""

UNQUANTISED = ("LSTM", "GRU", "RNN")
"""Left in FP32 by the quantiser."""

UNSUPPORTED = frozenset({
    "AffineGrid", "Attention", "Bernoulli", "BitCast", "BitShift", "BitwiseAnd", "BitwiseNot",
    "BitwiseOr", "BitwiseXor", "CenterCropPad", "Col2Im", "Compress", "ConcatFromSequence",
    "ConvInteger", "CumProd", "DFT", "DeformConv", "Det", "DynamicQuantizeLinear", "ImageDecoder",
    "MatMulInteger", "MaxRoiPool", "MaxUnpool", "MelWeightMatrix", "Multinomial",
    "NegativeLogLikelihoodLoss", "Optional", "OptionalGetElement", "OptionalHasElement",
    "QLinearConv", "QLinearMatMul", "RegexFullMatch", "SequenceAt", "SequenceConstruct",
    "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap",
    "SoftmaxCrossEntropyLoss", "SplitToSequence", "StringConcat", "StringNormalizer",
    "StringSplit", "SwiGLU", "TfIdfVectorizer", "Unique",
})  # fmt: skip
"""What the parser of 1.7 says of itself; Attention it reads, and then builds for no GPU."""


class TensorRtBackend:
    """Builds for the engine `tensorrt`."""

    def toolchain(self) -> Toolchain | Missing:
        """Return where TensorRT-RTX is, or how to install it."""
        return toolchain_apart(ENGINE, PACKAGES)

    def targets(self) -> tuple[Target, ...]:
        """Return FP32, FP16 and INT8."""
        return (
            Target(backend=ENGINE, precision="fp32"),
            Target(backend=ENGINE, precision="fp16"),
            Target(backend=ENGINE, precision="int8"),
        )

    def accelerator(self, profile: HardwareProfile) -> Accelerator | None:
        """Return the first of the profile's GPUs that has a compute capability."""
        known = (a for a in profile.accelerators if a.compute_capability is not None)
        return next(known, None)

    def built_for(self, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Return the compute capabilities that a plan was built for."""
        return tuple(filter(None, settings.get(CAPABILITIES_SETTING, "").split(",")))

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:
        """Return why there is no GPU to build for, or the model cannot be read."""
        accelerator, workload = self.accelerator(profile), source.workload
        if accelerator is None:
            return f"{profile.id} has no NVIDIA GPU of a known compute capability"
        refusal = (
            _operator_refusal(workload) or _face_refusal(workload) or rule_refusal(workload, RULES)
        )
        if refusal is None and target.precision == "int8":
            refusal = _int8_refusal(workload)
        return refusal or _hardware_refusal(accelerator, profile)

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the plan of a job."""
        flavour = flavour_for(job.compute_capabilities)
        precision = job.target.precision
        entry = f"{ENGINE}-{precision}.plan"
        release = release_of(flavour)
        settings = {
            FLAVOUR_SETTING: flavour.token,
            CAPABILITIES_SETTING: ",".join(job.compute_capabilities),
            MAX_BATCH_SETTING: str(MAX_BATCH),
        }
        with TemporaryDirectory() as scratch:
            graph = Path(scratch) / "graph.onnx"
            graph.write_bytes(_graph(job, Path(scratch)))
            with _timings(job, flavour, release, Path(scratch)).lent() as timings:
                plan_from_graph(
                    graph, flavour, job.compute_capabilities, directory / entry, timings.file
                )
        if timings.digest is not None:
            settings[TIMINGS_SETTING] = timings.digest
        return Artifact(
            entry=entry,
            files=(entry,),
            settings=settings,
            # No release reads the plans of another.
            engine_versions=f">={release},<={release}",
        )


def _timings(job: BuildJob, flavour: Flavour, release: str, scratch: Path) -> Timings:
    """Return the times of the job's GPU; of nowhere where builds share nothing."""
    shared = scratch if job.shared is None else Path(job.shared)
    kind = "-".join((flavour.token, release, *job.compute_capabilities))
    return Timings(folder=shared / "timings" / kind)


def _graph(job: BuildJob, scratch: Path) -> bytes:
    """Return the graph of a job in the precision of its target."""
    # These need the onnx package, which a plan does without.
    import onnx

    from insight_edge.compile.backends.tensorrt_graph import readable
    from insight_edge.compile.backends.tensorrt_half import half_precision
    from insight_edge.compile.backends.tensorrt_qdq import symmetric_int8

    if job.target.precision == "int8":
        return symmetric_int8(job, scratch)
    model = readable(onnx.load(job.model))
    if job.target.precision == "fp16":
        model = half_precision(model)
    data: bytes = model.SerializeToString()
    return data


def _hardware_refusal(accelerator: Accelerator, profile: HardwareProfile) -> str | None:
    """Return why a plan for this GPU is not built here."""
    capability = accelerator.compute_capability.value if accelerator.compute_capability else ""
    if RTX.supports(capability):
        return None
    built = f"TensorRT-RTX does not build for compute capability {capability}"
    if not FULL.supports(capability):
        return f"{built}, nor does TensorRT"
    return OnDeviceOnly(
        f"{built} ({', '.join(RTX.capabilities or ())}); TensorRT does, on the GPU itself: a build "
        f"job for a device of {profile.id}",
        hint="start `insight-edge toolchain work FOLDER` there, and compile with --builder FOLDER",
        accelerator=accelerator.model.value,
    )


def _operator_refusal(workload: Workload) -> str | None:
    ops = {operation.op for operation in workload.operations}
    foreign = sorted(op for op in ops if "." in op)
    if foreign:
        return Refusal(
            f"cannot read {', '.join(foreign)}", hint=f"replace {named(workload, foreign)}"
        )
    unsupported = sorted(ops & UNSUPPORTED)
    if unsupported:
        return Refusal(
            f"builds no {', '.join(unsupported)}", hint=f"replace {named(workload, unsupported)}"
        )
    return None


def _int8_refusal(workload: Workload) -> str | None:
    if workload.opset < QUANTISED_FROM:
        return Refusal(
            f"INT8 takes opset {QUANTISED_FROM} or newer, the model has {workload.opset}",
            hint="export at opset 18",
        )
    return recurrent_refusal(workload, UNQUANTISED) or nothing_to_quantize(workload)


def _face_refusal(workload: Workload) -> str | None:
    """Return which tensor of the model's face cannot be one of a plan."""
    for spec in (*workload.inputs, *workload.outputs):
        if spec.dtype not in DTYPES:
            return Refusal(
                f"tensor '{spec.name}' is {spec.dtype}, a plan has none of that",
                hint=f"pass '{spec.name}' as float32 and cast it inside the model",
            )
    free = _free_sizes(workload.inputs)
    if free:
        return Refusal(
            f"the range of {', '.join(sorted(free))} is not known; only the batch may be free",
            hint=f"export with a fixed size for {', '.join(sorted(free))}",
        )
    return None


def _free_sizes(inputs: tuple[TensorSpec, ...]) -> set[str]:
    """Return the symbolic dimensions of inputs that are not their batch."""
    firsts = {spec.shape[0] for spec in inputs if spec.shape}
    named = {size for spec in inputs for size in spec.shape if isinstance(size, str)}
    return named - {size for size in firsts if isinstance(size, str)} - {"batch"}
