# SPDX-License-Identifier: Apache-2.0
"""TFLite files of odd models answer as callers know the model, in the device's environment."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, helper

from insight_edge.compile.building.outcome import BuildOutcome, Built, Failed
from insight_edge.compile.building.preparation import prepare_job
from insight_edge.compile.graph.shapes import specs_of
from insight_edge.compile.sources.source import Original, source_from_onnx
from insight_edge.documents.codec import digest
from insight_edge.documents.target import target_from_token
from tests.fakes.device_packages import device_python
from tests.fakes.hardware import profile_of
from tests.fakes.onnx_models import model_of, recurrent_model, value, weights_of
from tests.fakes.tflite_builds import Array, answered, built

pytestmark = pytest.mark.slow


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


def sized() -> ModelProto:
    """One answer is known before the model runs."""
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Shape", ["x"], ["sizes"])]
    outputs = [value("y", (2, 4)), value("sizes", (2,), kind=7)]
    return model_of(nodes, [value("x", (2, 4))], outputs)


def masked() -> ModelProto:
    """A row whose mask is all false has no shares."""
    nodes = [
        helper.make_node("Where", ["mask", "x", "nothing"], ["kept"]),
        helper.make_node("Softmax", ["kept"], ["y"], axis=-1),
    ]
    face = [value("x", (16, 3)), value("mask", (16, 3), kind=9)], [value("y", (16, 3))]
    return model_of(nodes, *face, {"nothing": np.array([-np.inf], np.float32)})


def across_rows() -> ModelProto:
    """Every answer depends on the other rows, which a file for one row cannot know."""
    node = helper.make_node("Softmax", ["x"], ["y"], axis=0)
    return model_of([node], [value("x", ("batch", 4))], [value("y", ("batch", 4))])


def dense(seed: int) -> ModelProto:
    """A model with the names that its file has for its tensors, too."""
    node = helper.make_node("MatMul", ["model_input_0", "w"], ["model_output_0"])
    face = [value("model_input_0", ("batch", 8))], [value("model_output_0", ("batch", 4))]
    return model_of([node], *face, weights_of(seed, w=(8, 4)))


def file_of(outcome: BuildOutcome) -> bytes:
    assert isinstance(outcome, Built), outcome
    return (outcome.directory / outcome.artifact.entry).read_bytes()


def test_a_file_that_a_model_came_as_is_shipped_as_it_is(tmp_path: Path) -> None:
    own = file_of(built(dense(0), tmp_path / "first")) + b" and nothing that we would write"
    assert file_of(built(dense(0), tmp_path / "again", own=own)) == own
    half = file_of(built(dense(0), tmp_path / "half", "tflite:fp16", own=own))
    assert half not in {own, b""}


def test_a_file_that_answers_otherwise_than_the_model_is_none(tmp_path: Path) -> None:
    own = file_of(built(dense(1), tmp_path / "first"))
    outcome = built(dense(0), tmp_path / "again", own=own)
    assert isinstance(outcome, Failed)
    assert "differs from the model" in outcome.reason


def test_only_who_takes_a_file_gets_it(tmp_path: Path) -> None:
    source = source_from_onnx(dense(0).SerializeToString(), name="m", importer="onnx")
    source = replace(source, original=Original(form="tflite", data=b"a file"))
    jobs = [
        prepare_job(source, target_from_token(token), profile_of(), tmp_path)
        for token in ("tflite:fp32", "onnxruntime:fp32")
    ]
    assert [job.original_digest for job in jobs] == [digest(b"a file"), None]
    assert Path(str(jobs[0].original)).read_bytes() == b"a file"
    assert jobs[1].original is None


def fed_to(model: ModelProto) -> dict[str, Array]:
    random, fed = np.random.default_rng(1), {}
    for spec in specs_of(model)[0]:
        shape = tuple(5 if isinstance(size, str) else size for size in spec.shape)
        ids, floats = random.integers(0, 7, shape), random.normal(size=shape)
        fed[spec.name] = (ids if spec.dtype == "int64" else floats).astype(spec.dtype)
    return fed


@pytest.mark.parametrize("make", [square_images, odd_names, gathered, steps, sized, masked])
def test_file_answers_as_the_model_and_the_same_again(make: Any, tmp_path: Path) -> None:
    python = device_python("tflite")
    if python is None:
        pytest.skip("the environment 'device-tflite' is not installed")
    model = make()
    onnx.checker.check_model(model)
    outcome = built(model, tmp_path)
    assert isinstance(outcome, Built), outcome
    fed, outputs = fed_to(model), specs_of(model)[1]
    first, again = answered(python, model, outcome, fed)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    wanted = dict(zip([o.name for o in outputs], session.run(None, fed), strict=True))
    assert first.keys() == wanted.keys()
    for name, answer in wanted.items():
        assert first[name].dtype == answer.dtype
        np.testing.assert_allclose(first[name], answer, atol=1e-5)
        np.testing.assert_array_equal(again[name], first[name])


def test_model_that_mixes_rows_does_not_count_as_built(tmp_path: Path) -> None:
    outcome = built(across_rows(), tmp_path)
    assert isinstance(outcome, Failed)
    assert "output 'y' of the converted file differs from the model" in outcome.reason
