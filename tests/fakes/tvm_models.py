# SPDX-License-Identifier: Apache-2.0
"""Artifacts of the engine `tvm`, made by its own backend, and what they answer on a device."""

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.compile.backends.tvm import TvmBackend
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import BuildOutcome, Built
from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.seam import TUNING
from insight_edge.documents.codec import digest
from insight_edge.documents.facts import Missing
from insight_edge.documents.target import Target
from insight_edge.runtime.processor import isa_extensions
from tests.fakes.device_packages import device_python
from tests.fakes.engine_bundles import onnx_artifact

Array = NDArray[Any]


def tvm_job(model: bytes, directory: Path, *, tuning_s: float = 0.0) -> BuildJob:
    """Return a job for this very machine; the model lies in the directory."""
    path = directory / "m.onnx"
    path.write_bytes(model)
    options = {TUNING: tuning_s} if tuning_s else {}
    return BuildJob(
        plugin="insight_edge.compile.backends.tvm:TvmBackend",
        target=Target(backend="tvm", precision="fp32", options=options),
        model=str(path),
        model_digest=digest(model),
        arch=platform.machine(),
        isa=isa_extensions(),
    )


def build_tvm(job: BuildJob, directory: Path) -> BuildOutcome:
    """Build where the toolchain is."""
    toolchain = TvmBackend().toolchain()
    if isinstance(toolchain, Missing):
        pytest.skip(f"tvm: {toolchain.reason}")
    return build(job, directory, python=toolchain.python)


def tvm_artifact(weights: Array) -> dict[str, bytes]:
    """Return the files of a matrix, the library first."""
    return dict(_files(*onnx_artifact(weights).values()))


@cache
def _files(model: bytes) -> tuple[tuple[str, bytes], ...]:
    with TemporaryDirectory() as folder:
        place = Path(folder)
        outcome = build_tvm(tvm_job(model, place), place / "b")
        assert isinstance(outcome, Built), outcome
        names = outcome.artifact.files
        return tuple((name, (outcome.directory / name).read_bytes()) for name in names)


_ASK = """
import json, sys
from pathlib import Path
import numpy as np
from insight_edge.runtime.engines.tvm import open_library
from insight_edge.runtime.engines.tvm_runtime import RUNTIME_FILES
model, settings, names, asked, answered = sys.argv[1:]
rows = dict(np.load(asked))
beside = [Path(model).with_name(name) for name in RUNTIME_FILES]
carried = [path for path in beside if path.exists()]
names = list(rows), json.loads(names)
session = open_library(Path(model), carried, names, json.loads(settings), threads=1)
np.savez(answered, **session.infer(rows))
session.close()
"""


def tvm_answers(
    model: Path, settings: Mapping[str, str], rows: Mapping[str, Array], outputs: Sequence[str]
) -> dict[str, Array]:
    """Return what the device's own environment answers; inputs in the order of the model."""
    python = device_python("tvm")
    if python is None:
        pytest.skip("the environment 'device-tvm' is not installed")
    with TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "rows.npz", Path(folder) / "answers.npz"
        np.savez(asked, allow_pickle=False, **dict(rows))
        arguments = [str(model), json.dumps(dict(settings)), json.dumps(list(outputs))]
        subprocess.run([python, "-c", _ASK, *arguments, str(asked), str(answered)], check=True)
        return dict(np.load(answered))
