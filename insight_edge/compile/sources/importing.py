# SPDX-License-Identifier: Apache-2.0
"""Read a model in a child process within limits: hostile bytes, or a framework that is not here.

The child runs in this very environment (to examine what could crash onnx's own
checker) or in a toolchain's (to convert what only that framework reads). Parent
and child exchange files; a child that crashes, hangs or takes all memory is a
`ModelError` in one line. Whether a conversion is right is asked here, on the
workshop's reference engine, never in the child.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.durable import storing
from insight_edge.compile.graph.parity import refuse_disagreement
from insight_edge.compile.sources.conversion import (
    ANSWERS,
    INPUTS,
    MODEL,
    WORKLOAD,
    Conversion,
    ConversionJob,
)
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.compile.toolchains.bounds import DISK_FULL_EXIT_CODE
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.compile.toolchains.gist import gist
from insight_edge.compile.toolchains.processes import child, watch
from insight_edge.documents.codec import decode_json, digest, encode_json
from insight_edge.documents.workload import Workload
from insight_edge.errors import DocumentError, ModelError, StorageError

OPSET = 18
"""What converters are asked for: read by every compiler tried."""

FILE_BYTES = 2**32
LOG_TAIL_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class ImportLimits:
    """Beyond these a child is killed.

    Attributes:
        wall_s: a conversion takes seconds; loading a framework may take half a minute.
        memory_bytes: resident, of the child and all that it started.
    """

    wall_s: float = 600.0
    memory_bytes: int = 8 * 2**30


def examine_apart(
    path: Path, *, examiner: str, importer: str, limits: ImportLimits | None = None
) -> SourceModel:
    """Return the source model of an ONNX file that a child of this environment has examined.

    Args:
        path: of the file.
        examiner: `module:function`; it writes `WORKLOAD`, and `MODEL` where that is not the file.
        importer: token.
        limits: beyond which the child is killed.

    Raises:
        ModelError: it must not be compiled, or examining it crashed or went over a limit.
        StorageError: the disk is full or cannot be written.
    """
    job = ConversionJob(converter=examiner, model=str(path.absolute()))
    with _converted(job, sys.executable, limits or ImportLimits()) as place:
        found = place / MODEL if (place / MODEL).exists() else path
        data = found.read_bytes()
        workload = decode_json(Workload, (place / WORKLOAD).read_bytes())
    if digest(data) != workload.model_digest:
        raise ModelError("the file changed while it was read")
    return SourceModel(name=path.stem, data=data, workload=workload, importer=importer)


def convert_apart(
    path: Path,
    *,
    converter: str,
    environment: str,
    importer: str,
    framework: str,
    trust_pickle: bool = False,
    limits: ImportLimits | None = None,
) -> SourceModel:
    """Return the source model that a converter of another environment makes of a file.

    Args:
        path: of the file, or of the directory that is the model.
        converter: `module:function`; it writes `MODEL`, `INPUTS` and `ANSWERS`.
        environment: that has the framework, `toolchain-…`.
        importer: token.
        framework: what messages call it.
        trust_pickle: code in the file may run.
        limits: beyond which the child is killed.

    Raises:
        ToolchainMissingError: the environment is not installed.
        ModelError: refused, or the conversion crashed, went over a limit, is of another opset
            or answers otherwise than the framework.
        StorageError: the disk is full or cannot be written.
    """
    python = str(environment_python(environment))
    job = ConversionJob(converter=converter, model=str(path.absolute()), trust_pickle=trust_pickle)
    with _converted(job, python, limits or ImportLimits()) as place:
        data = (place / MODEL).read_bytes()
        inputs = _arrays(place / INPUTS)
        answers = _arrays(place / ANSWERS)
    source = source_from_onnx(data, name=path.stem, importer=importer)
    if source.workload.opset != OPSET:
        raise ModelError(f"converted to opset {source.workload.opset}, not {OPSET}")
    _refuse_unasked(source, inputs)
    expected = [answers[str(index)] for index in range(len(answers))]
    refuse_disagreement(data, inputs, expected, framework=framework)
    return source


def _refuse_unasked(source: SourceModel, inputs: dict[str, NDArray[Any]]) -> None:
    wanted = [spec.name for spec in source.workload.inputs]
    if sorted(wanted) != sorted(inputs):
        raise ModelError(f"the export takes {wanted}, the framework was asked with {list(inputs)}")


@contextmanager
def _converted(job: ConversionJob, python: str, limits: ImportLimits) -> Iterator[Path]:
    """Run a child to its end and lend what it wrote."""
    with TemporaryDirectory(prefix="insight-edge-import-") as folder:
        place = Path(folder)
        with storing(place):
            for name in ("out", "tmp"):
                (place / name).mkdir()
            (place / "job.json").write_bytes(encode_json(job))
            returncode, stopped = _run(place, python, limits)
        _refuse_end(place, returncode, stopped)
        try:
            answer = decode_json(Conversion, (place / "answer.json").read_bytes())
            if answer.refusal is not None:
                raise ModelError(answer.refusal, hint=answer.hint)
            yield place / "out"
        except (FileNotFoundError, DocumentError) as error:
            raise ModelError(f"reading it ended well and left nothing usable: {error}") from error


def _run(place: Path, python: str, limits: ImportLimits) -> tuple[int, str | None]:
    """Return how the child ended, and why it was killed where it was."""
    paths = (str(place / name) for name in ("job.json", "out", "answer.json"))
    command = [python, "-P", "-m", "insight_edge.compile.sources.import_child", *paths]
    command += [str(os.getpid()), str(FILE_BYTES)]
    # Sets have one order in every conversion, what a killed child leaves goes with `place`, and
    # threads that spin for each other are no help on few rows.
    fixed = {"PYTHONHASHSEED": "0", "TMPDIR": str(place / "tmp"), "OMP_NUM_THREADS": "1"}
    with child(command, place, log="log", fixed=fixed) as process:
        seen = watch(process.pid, wall_s=limits.wall_s, memory_bytes=limits.memory_bytes)
    return process.returncode, seen.stopped


def _refuse_end(place: Path, returncode: int, stopped: str | None) -> None:
    """Raise unless the child ended well.

    Raises:
        ModelError: it was killed or failed.
        StorageError: for lack of space.
    """
    if stopped is not None:
        raise ModelError(f"reading it was given up: {stopped}")
    if returncode == DISK_FULL_EXIT_CODE:
        raise StorageError(f"{place.parent}: the disk is full", hint="free some space")
    if returncode < 0:
        raise ModelError(f"reading it crashed the reader (signal {-returncode})")
    if returncode:
        raise ModelError(f"could not be read: {gist(_tail(place / 'log'))}")


def _tail(path: Path) -> str:
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        return log.read().decode(errors="replace").strip()


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}
