# SPDX-License-Identifier: Apache-2.0
"""TFLite: onnx2tf writes FP32, ai-edge-quantizer makes everything else from that file.

Every file is loaded by the device's own engine and asked before it counts as
built: the converter ends well with files that do not load, and with wrong ones.
From FP32 alone can that be told here; what a reduced precision costs is for
proof. A model of PyTorch takes the way through ONNX as any other; a model that
came as `.tflite` is taken as it is.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from insight_edge.compile.backends.tflite_limits import loss_refusal, refusal
from insight_edge.compile.footprint import Footprint
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.source import SourceModel
from insight_edge.compile.toolchain import Toolchain, toolchain_apart
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target

ENGINE = "tflite"
PACKAGES = ("onnx2tf", "ai-edge-quantizer", "ai-edge-litert", "onnxsim", "onnx", "numpy")

DYNAMIC = "dynamic"
"""Option of INT8: weights of 8 bits, activations scaled at every inference, no rows needed."""

FOOTPRINT = Footprint(base_bytes=60 * 2**20, weights=3.0, activations=5.0)
"""More than LiteRT 2.3 was seen to take: 50 MiB with one operator, 2.1 copies of the weights, 4
times the activations."""

ENGINE_VERSIONS = ">=2.1"
"""The oldest LiteRT that these files were loaded by; tflite-runtime ended with 2.14."""


class TfLiteBackend:
    """Builds for the engine `tflite`."""

    def toolchain(self) -> Toolchain | Missing:
        """Return the environment of the converter and the quantiser."""
        return toolchain_apart(ENGINE, PACKAGES)

    def targets(self) -> tuple[Target, ...]:
        """Return FP32, FP16 weights, static INT8 and dynamic INT8.

        FP16 changes the size of the file alone: arithmetic stays FP32.
        """
        return (
            Target(backend=ENGINE, precision="fp32"),
            Target(backend=ENGINE, precision="fp16"),
            Target(backend=ENGINE, precision="int8"),
            Target(backend=ENGINE, precision="int8", options={DYNAMIC: True}),
        )

    def refuse(self, source: SourceModel, target: Target, profile: HardwareProfile) -> str | None:  # noqa: ARG002 (the profile changes how, not whether)
        """Return why the model does not convert, or the precision was seen to ruin its kind."""
        int8 = target.precision == "int8"
        static = int8 and not target.options.get(DYNAMIC)
        if source.original is not None and self.takes(source.original.form):
            return loss_refusal(source.workload, int8=int8, static=static)
        return refusal(source.workload, int8=int8, static=static)

    def takes(self, form: str) -> bool:
        """Return whether a file is the engine's own."""
        return form == ENGINE

    def footprint(self, target: Target) -> Footprint | None:  # noqa: ARG002 (the same for all)
        """Return what the engine's process takes."""
        return FOOTPRINT

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact of a job."""
        from insight_edge.compile.backends.tflite_convert import convert
        from insight_edge.compile.backends.tflite_faces import settle
        from insight_edge.compile.backends.tflite_quantize import quantize

        entry = f"{job.target.token.replace(':', '-').replace('+', '-')}.tflite"
        with TemporaryDirectory() as scratch:
            own = job.original
            full = Path(own) if own else convert(Path(job.model), Path(scratch))
            settings = settle(job, full)
            if job.target.precision == "fp32":
                (directory / entry).write_bytes(full.read_bytes())
            else:
                (directory / entry).write_bytes(quantize(job, full))
                settings = settle(job, directory / entry, known=settings)
        return Artifact(
            entry=entry,
            files=(entry,),
            settings=settings,
            engine_versions=ENGINE_VERSIONS,
        )
