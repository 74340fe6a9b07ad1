# SPDX-License-Identifier: Apache-2.0
"""TFLite files of odd models answer as callers know the model, in the device's environment."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.backends.tflite import TfLiteBackend
from insight_edge.compile.build import build
from insight_edge.compile.outcome import BuildOutcome, Built, Failed
from insight_edge.compile.preparation import prepare_job
from insight_edge.compile.shapes import specs_of
from insight_edge.compile.source import source_from_onnx
from insight_edge.compile.toolchain import Toolchain
from insight_edge.documents.codec import encode_json
from insight_edge.documents.manifest import Io
from insight_edge.documents.target import target_from_token
from tests.fakes.device_packages import device_python
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import model_of, recurrent_model, value, weights_of

pytestmark = pytest.mark.slow

Array = NDArray[Any]
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


def square_images() -> ModelProto:
    """Channels, height and width of one size: shapes do not tell which axis is which."""
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    face = [value("x", ("batch", 4, 4, 4))], [value("y", ("batch", 4, 4, 4))]
    return model_of([node], *face, weights_of(0, w=(4, 4, 3, 3)))


def odd_names() -> ModelProto:
    nodes = [
        helper.make_node("MatMul", ["in put/x:0", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["out put:0"]),
        helper.make_node("ArgMax", ["a"], ["top"], axis=1, keepdims=0),
    ]
    outputs = [value("out put:0", ("batch", 4)), value("top", ("batch",), kind=7)]
    return model_of(nodes, [value("in put/x:0", ("batch", 8))], outputs, weights_of(0, w=(8, 4)))


def gathered() -> ModelProto:
    node = helper.make_node("Gather", ["table", "ids"], ["y"])
    face = [value("ids", ("batch", 3), kind=7)], [value("y", ("batch", 3, 5))]
    return model_of([node], *face, weights_of(0, table=(7, 5)))


def steps() -> ModelProto:
    model = recurrent_model("LSTM")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 2
    return model


def across_rows() -> ModelProto:
    """Every answer depends on the other rows, which a file for one row cannot know."""
    node = helper.make_node("Softmax", ["x"], ["y"], axis=0)
    return model_of([node], [value("x", ("batch", 4))], [value("y", ("batch", 4))])


def built(model: ModelProto, place: Path) -> BuildOutcome:
    toolchain = TfLiteBackend().toolchain()
    if not isinstance(toolchain, Toolchain):
        pytest.skip(f"{toolchain.name}: {toolchain.reason}")
    source = source_from_onnx(model.SerializeToString(), name="m", importer="onnx")
    job = prepare_job(source, target_from_token("tflite:fp32"), profile_of(), place)
    return build(job, place / "build", python=toolchain.python)


def fed_to(model: ModelProto) -> dict[str, Array]:
    random, fed = np.random.default_rng(1), {}
    for spec in specs_of(model)[0]:
        shape = tuple(5 if isinstance(size, str) else size for size in spec.shape)
        ids, floats = random.integers(0, 7, shape), random.normal(size=shape)
        fed[spec.name] = (ids if spec.dtype == "int64" else floats).astype(spec.dtype)
    return fed


@pytest.mark.parametrize("make", [square_images, odd_names, gathered, steps])
def test_file_answers_as_the_model_and_the_same_again(make: Any, tmp_path: Path) -> None:
    python = device_python("tflite")
    if python is None:
        pytest.skip("the environment 'device-tflite' is not installed")
    model = make()
    onnx.checker.check_model(model)
    outcome = built(model, tmp_path)
    assert isinstance(outcome, Built), outcome
    place, fed = outcome.directory.parent, fed_to(model)
    inputs, outputs = specs_of(model)
    io = Io(inputs=inputs, outputs=outputs, model_inputs=inputs, model_outputs=outputs)
    (place / "io.json").write_bytes(encode_json(io))
    (place / "fed.npz").write_bytes(npz_from_arrays(fed))
    subprocess.run([python, "-c", ASK, str(place)], check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    wanted = dict(zip([o.name for o in outputs], session.run(None, fed), strict=True))
    first, again = np.load(place / "first.npz"), np.load(place / "again.npz")
    assert set(first.files) == wanted.keys()
    for name, answer in wanted.items():
        assert first[name].dtype == answer.dtype
        np.testing.assert_allclose(first[name], answer, atol=1e-5)
        np.testing.assert_array_equal(again[name], first[name])


def test_model_that_mixes_rows_does_not_count_as_built(tmp_path: Path) -> None:
    outcome = built(across_rows(), tmp_path)
    assert isinstance(outcome, Failed)
    assert "output 'y' of the converted file differs from the model" in outcome.reason
