# SPDX-License-Identifier: Apache-2.0
"""TFLite: a converter writes FP32, ai-edge-quantizer makes everything else from that file.

Every file is loaded by the device's own engine and asked before it counts as
built: the converter ends well with files that do not load, and with wrong ones.
From FP32 alone can that be told here; what a reduced precision costs is for
proof. A model that came as `.tflite` is taken as it is. One that came from PyTorch
is converted by litert-torch where that is installed; onnx2tf converts all
others, and those that litert-torch does not.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from insight_edge.compile.backends.tflite_limits import loss_refusal, refusal
from insight_edge.compile.job import Artifact, BuildJob
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.toolchains.toolchain import Toolchain, toolchain_apart
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.errors import BuildFailedError
from insight_edge.selection.footprint import Footprint

ENGINE = "tflite"
PACKAGES = ("onnx2tf", "ai-edge-quantizer", "ai-edge-litert", "onnxsim", "onnx", "numpy")

WHOLE, TORCH = "litert", "torch"
"""The environment that has litert-torch too, and the form of the files that it converts."""

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
        """Return the environment of the converters and the quantiser."""
        whole = _whole()
        return toolchain_apart(ENGINE, PACKAGES) if isinstance(whole, Missing) else whole

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
        form = source.original.form if source.original else None
        if form == ENGINE:
            return loss_refusal(source.workload, int8=int8, static=static)
        is_program = form is not None and self.takes(form)
        return refusal(source.workload, int8=int8, static=static, is_program=is_program)

    def takes(self, form: str) -> bool:
        """Return whether a file is the engine's own, or one that is converted here."""
        return form == ENGINE or (form == TORCH and not isinstance(_whole(), Missing))

    def footprint(self, target: Target) -> Footprint | None:  # noqa: ARG002 (the same for all)
        """Return what the engine's process takes."""
        return FOOTPRINT

    def build(self, job: BuildJob, directory: Path) -> Artifact:
        """Write the artifact of a job."""
        from insight_edge.compile.backends.tflite_faces import settle
        from insight_edge.compile.backends.tflite_quantize import quantize

        entry = f"{job.target.token.replace(':', '-').replace('+', '-')}.tflite"
        with TemporaryDirectory() as scratch:
            full, settings = _full_precision(job, Path(scratch))
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


def _whole() -> Toolchain | Missing:
    return toolchain_apart(WHOLE, (*PACKAGES, "litert-torch", "torch"))


def _full_precision(job: BuildJob, scratch: Path) -> tuple[Path, dict[str, str]]:
    """Return the FP32 file of a job and its settings.

    Raises:
        BuildFailedError: no converter makes a file that answers as the model does; each says why.
    """
    from insight_edge.compile.backends.tflite_convert import convert
    from insight_edge.compile.backends.tflite_faces import settle
    from insight_edge.compile.backends.tflite_names import came_as_tflite
    from insight_edge.compile.backends.tflite_torch import convert_program

    def settled(file: Path) -> tuple[Path, dict[str, str]]:
        return file, settle(job, file)

    if job.original is None:
        return settled(convert(Path(job.model), scratch))
    if came_as_tflite(job):
        return settled(Path(job.original))
    try:
        return settled(convert_program(job, scratch))
    except BuildFailedError as error:
        try:
            found = settled(convert(Path(job.model), scratch))
        except BuildFailedError as other:
            raise BuildFailedError(f"{error}; through ONNX: {other}") from other
        # Last, since of a log only the last lines are kept.
        print(f"{error}; it was converted from ONNX", file=sys.stderr)  # noqa: T201 (its log)
        return found
