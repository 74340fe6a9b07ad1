# SPDX-License-Identifier: Apache-2.0
"""Keras models and SavedModels become ONNX of the same face and answers, or are refused."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from insight_edge.compile.importers.tensorflow import TensorflowImporter
from insight_edge.compile.reading import read_source
from insight_edge.errors import ModelError
from tests.fakes.frameworks import made_apart

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "name", "shape"),
    [
        ("image", "m.keras", ("batch", 12, 12, 3)),
        ("image", "m.h5", ("batch", 12, 12, 3)),
        ("series", "m.keras", ("batch", 12, 4)),
        ("attention", "m.keras", ("batch", 10, 16)),
        ("attention", "saved", ("batch", 10, 16)),
        ("scaled", "m.keras", ("batch", 4)),
        ("scaled", "called", ("batch", 4)),
    ],
)
def test_model_keeps_its_face_and_answers(
    kind: str, name: str, shape: tuple[int | str, ...], tmp_path: Path
) -> None:
    source = read_source(made_apart("tensorflow", tmp_path / name, kind), trust_pickle=True)
    assert (source.importer, source.workload.opset) == ("tensorflow", 18)
    (given,) = source.workload.inputs
    assert (given.dtype, given.shape) == ("float32", shape)
    with np.load(tmp_path / "rows.npz") as held:
        rows, wanted = held["rows"], held["answers"]
    session = onnxruntime.InferenceSession(source.data, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {given.name: rows})[0], wanted, atol=1e-5)


def test_inputs_and_outputs_have_the_models_own_names(tmp_path: Path) -> None:
    source = read_source(made_apart("tensorflow", tmp_path / "m.keras", "two"))
    workload = source.workload
    assert [(s.name, s.dtype) for s in workload.inputs] == [("one", "float32"), ("other", "int32")]
    assert [(s.name, s.shape) for s in workload.outputs] == [
        ("p", ("batch", 2)),
        ("q", ("batch", 3)),
    ]


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_code_in_a_layer_is_refused_unless_trusted(name: str, tmp_path: Path) -> None:
    path = made_apart("tensorflow", tmp_path / name, "code")
    with pytest.raises(ModelError, match="Keras cannot read it") as caught:
        read_source(path)
    assert "--trust-pickle" in str(caught.value.hint)


def test_program_that_cannot_be_traced_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = made_apart("tensorflow", tmp_path / "m.keras", "stateful")
    with pytest.raises(ModelError, match="TensorFlow cannot trace it: ") as caught:
        read_source(path)
    assert "in user code" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name"), [("words", "m.keras"), ("words", "saved"), ("ids", "m.keras")]
)
def test_layer_that_looks_up_is_refused_with_what_to_do(
    kind: str, name: str, tmp_path: Path
) -> None:
    path = made_apart("tensorflow", tmp_path / name, kind)
    with pytest.raises(ModelError, match=r"the layer '.*names[_\d]*' looks words") as caught:
        read_source(path, trust_pickle=True)
    assert "in the application" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_damaged_file_is_a_model_error(name: str, tmp_path: Path) -> None:
    path = made_apart("tensorflow", tmp_path / name)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=f"{name}: Keras cannot read it"):
        read_source(path)


def test_saved_model_is_a_program_and_must_be_trusted(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    assert TensorflowImporter().accepts(tmp_path / "saved")
    assert not TensorflowImporter().accepts(tmp_path)
    with pytest.raises(ModelError, match="a SavedModel is a program") as caught:
        read_source(tmp_path / "saved")
    assert "--trust-pickle" in str(caught.value.hint)
