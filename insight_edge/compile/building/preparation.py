# SPDX-License-Identifier: Apache-2.0
"""Make the job of a planned target: its files on disk, and everything it depends on by digest."""

from pathlib import Path

from insight_edge.bundle.durable import replace_file
from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.discovery import backend_plugin, backends
from insight_edge.compile.plugins.seam import ForAccelerators, Taking
from insight_edge.compile.quantize.calibration import Calibration
from insight_edge.compile.sources.source import Original, SourceModel
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target


def prepare_job(
    source: SourceModel,
    target: Target,
    profile: HardwareProfile,
    directory: Path,
    *,
    calibration: Calibration | None = None,
) -> BuildJob:
    """Return the job that builds a target of a model for a profile.

    Calibration rows are part of the job where the precision needs them, and only there.

    Args:
        source: written into `directory` under its digest, unless it is there.
        target: of a declared backend.
        profile: whose processor it is for.
        directory: for the model; it exists.
        calibration: rows of the model's inputs.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    used = calibration if target.precision == "int8" else None
    own = own_file(source, target)
    return BuildJob(
        plugin=backend_plugin(target.backend),
        target=target,
        model=_placed(directory, source.digest, "onnx", source.data),
        model_digest=source.digest,
        arch=profile.cpu.arch,
        isa=tuple(sorted(profile.cpu.isa.value)),
        compute_capabilities=_compute_capabilities(target, profile),
        original=_placed(directory, own.digest, own.form, own.data) if own else None,
        original_digest=own.digest if own else None,
        calibration=str(used.path) if used else None,
        calibration_digest=used.digest if used else None,
    )


def _placed(directory: Path, name: str, suffix: str, data: bytes) -> str:
    """Return the path of a file under its digest, which is written unless it is there."""
    path = directory.absolute() / f"{name[7:23]}.{suffix}"
    if not path.exists():
        replace_file(path, data)
    return str(path)


def own_file(source: SourceModel, target: Target) -> Original | None:
    """Return the file that a model was converted from, where the target's backend takes it."""
    backend: object = backends().get(target.backend)
    if source.original is None or not isinstance(backend, Taking):
        return None
    return source.original if backend.takes(source.original.form) else None


def _compute_capabilities(target: Target, profile: HardwareProfile) -> tuple[str, ...]:
    """Return those of the accelerator that a target's backend builds for, where it does."""
    backend: object = backends().get(target.backend)
    found = backend.accelerator(profile) if isinstance(backend, ForAccelerators) else None
    if found is None or found.compute_capability is None:
        return ()
    return (found.compute_capability.value,)
