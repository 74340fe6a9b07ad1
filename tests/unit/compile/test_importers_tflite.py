# SPDX-License-Identifier: Apache-2.0
"""TFLite files become ONNX of the same face and answers and go on themselves, or are refused."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from insight_edge.compile.importers.tflite import TfLiteImporter
from insight_edge.compile.reading import read_source
from insight_edge.errors import ModelError
from tests.fakes.frameworks import made_apart

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("image", ("batch", 12, 12, 3)),
        ("attention", ("batch", 10, 16)),
        ("tanh", ("batch", 6)),
    ],
)
def test_model_keeps_its_face_its_answers_and_its_file(
    kind: str, shape: tuple[int | str, ...], tmp_path: Path
) -> None:
    path = made_apart("tflite", tmp_path / "m.tflite", kind)
    source = read_source(path)
    assert (source.importer, source.workload.opset) == ("tflite", 18)
    (given,) = source.workload.inputs
    assert (given.dtype, given.shape) == ("float32", shape)
    assert source.original is not None
    assert (source.original.form, source.original.data) == ("tflite", path.read_bytes())
    with np.load(tmp_path / "rows.npz") as held:
        rows, wanted = held["rows"], held["answers"]
    session = onnxruntime.InferenceSession(source.data, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {given.name: rows})[0], wanted, atol=1e-5)


def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    workload = read_source(made_apart("tflite", tmp_path / "m.tflite", "two")).workload
    named = {spec.name: (spec.dtype, spec.shape) for spec in workload.inputs}
    assert named == {"one": ("float32", ("batch", 4)), "other": ("int32", ("batch", 4))}
    assert sorted(spec.shape[1:] for spec in workload.outputs) == [(2,), (3,)]


@pytest.mark.parametrize(
    ("kind", "told", "hint"),
    [
        ("state", "it keeps a state between calls", "as an input and an output"),
        ("eight bits", "it computes in 8 bits", "give the FP32 file"),
        ("dynamic", "differs from TensorFlow Lite", "a wrong export"),
    ],
)
def test_what_no_conversion_answers_like_is_refused(
    kind: str, told: str, hint: str, tmp_path: Path
) -> None:
    path = made_apart("tflite", tmp_path / "m.tflite", kind)
    with pytest.raises(ModelError, match=told) as caught:
        read_source(path)
    assert hint in str(caught.value.hint)


def test_damaged_file_is_a_model_error(tmp_path: Path) -> None:
    path = made_apart("tflite", tmp_path / "m.tflite")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"m\.tflite: "):
        read_source(path)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"ONNX of some kind"])
def test_a_file_that_does_not_begin_as_one_is_refused_at_once(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.TFLite").write_bytes(data)
    assert TfLiteImporter().accepts(tmp_path / "m.TFLite")
    with pytest.raises(ModelError, match="not a TFLite file"):
        read_source(tmp_path / "m.TFLite")
