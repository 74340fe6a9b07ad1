# SPDX-License-Identifier: Apache-2.0
"""TFLite files built as the product builds them, and asked in the device's environment."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.backends.tflite import TfLiteBackend
from insight_edge.compile.building.build import build
from insight_edge.compile.building.outcome import BuildOutcome, Built
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.graph.shapes import specs_of
from insight_edge.compile.quantize.calibration import write_calibration
from insight_edge.compile.sources.source import Original, source_from_onnx
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.codec import encode_json
from insight_edge.documents.manifest import Io
from insight_edge.documents.target import target_from_token
from tests.fakes.hardware import profile_of

Array = NDArray[Any]
Answers = dict[str, Array]

ASK = """
import sys
from pathlib import Path
import numpy as np
from insight_edge.compile.job import Artifact
from insight_edge.documents.codec import decode_json
from insight_edge.documents.manifest import Io
from insight_edge.runtime.engines.tflite import open_file
place = Path(sys.argv[1])
io = decode_json(Io, (place / "io.json").read_bytes())
artifact = decode_json(Artifact, (place / "artifact.json").read_bytes())
file = place / "artifact" / artifact.entry
session = open_file(file, io.model_inputs, io.model_outputs, artifact.settings, threads=1)
fed = dict(np.load(place / "fed.npz"))
np.savez(place / "first.npz", **session.infer(fed))
np.savez(place / "again.npz", **session.infer(fed))
"""


def built(
    model: ModelProto,
    place: Path,
    target: str = "tflite:fp32",
    own: bytes | None = None,
    rows: Mapping[str, Array] | None = None,
) -> BuildOutcome:
    """Build a model; `own` is a file that it came as, `rows` are those to calibrate with."""
    toolchain = TfLiteBackend().toolchain()
    if not isinstance(toolchain, Toolchain):
        pytest.skip(f"{toolchain.name}: {toolchain.reason}")
    place.mkdir(exist_ok=True)
    source = source_from_onnx(model.SerializeToString(), name="m", importer="onnx")
    original = None if own is None else Original(form="tflite", data=own)
    source = replace(source, original=original)
    calibration = None if rows is None else write_calibration(source, rows, place)
    job = prepare_job(
        source, target_from_token(target), profile_of(), place, calibration=calibration
    )
    return build(job, place / "build", python=toolchain.python)


def answered(
    python: str | Path, model: ModelProto, outcome: Built, fed: Mapping[str, Array]
) -> tuple[Answers, Answers]:
    """Return what a device's interpreter answers, the first time and again."""
    place = outcome.directory.parent
    inputs, outputs = specs_of(model)
    io = Io(inputs=inputs, outputs=outputs, model_inputs=inputs, model_outputs=outputs)
    (place / "io.json").write_bytes(encode_json(io))
    (place / "fed.npz").write_bytes(npz_from_arrays(fed))
    subprocess.run([python, "-c", ASK, str(place)], check=True)
    first, again = (dict(np.load(place / f"{name}.npz")) for name in ("first", "again"))
    return first, again
