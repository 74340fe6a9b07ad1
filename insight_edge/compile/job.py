# SPDX-License-Identifier: Apache-2.0
"""What a build is asked and what it answers: two documents, exchanged as files.

Parent and child may be different environments, or different machines. Nothing
here starts a process (`compile.building.build` does).
"""

from insight_edge.documents.codec import Versioned
from insight_edge.documents.target import Target


class BuildJob(Versioned, frozen=True, kw_only=True):
    """One target of one model for one kind of processor.

    Everything the artifact depends on is in here, the toolchain's versions and the processor
    of the build machine apart.

    Attributes:
        plugin: the backend as its entry point writes it, `module:Class`.
        model: path of the ONNX file.
        model_digest, original_digest, calibration_digest: of the files.
        arch: of the processor it is for, as `uname -m` says.
        isa: the extensions that processor has.
        compute_capabilities: of the NVIDIA GPUs it is for; none where it is for the processor.
        original: path of the file that the model was converted from, for a backend that takes it.
        calibration: path of an .npz with rows of the *model's* inputs, by name.
        shared: directory in which backends keep what makes later builds better; None for nowhere.
        keep: leave what the build writes on its way, in `tmp` beside the artifact.
    """

    plugin: str
    target: Target
    model: str
    model_digest: str
    arch: str
    isa: tuple[str, ...] = ()
    compute_capabilities: tuple[str, ...] = ()
    original: str | None = None
    original_digest: str | None = None
    calibration: str | None = None
    calibration_digest: str | None = None
    shared: str | None = None
    keep: bool = False


class Artifact(Versioned, frozen=True, kw_only=True):
    """What a backend says it has written.

    Attributes:
        entry: the file that the engine is pointed at.
        files: all flat names, the entry among them; unique to the target, so that the files of
            two artifacts lie in one bundle.
        settings: what the engine must be configured with.
        engine_versions: a requirement on the engine, e.g. `>=1.31`.
        isa: CPU extensions without which it would not load or not answer the same.
        unfinished: why it is not shipped, although it can be proven and measured, and why a later
            build of the same job may be better; empty where neither is so.
    """

    entry: str
    files: tuple[str, ...]
    settings: dict[str, str] = {}  # noqa: RUF012 (msgspec copies it)
    engine_versions: str = ""
    isa: tuple[str, ...] = ()
    unfinished: str = ""
