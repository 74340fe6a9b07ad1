# SPDX-License-Identifier: Apache-2.0
"""Weights beside the model are put into it; whatever leads elsewhere is refused by name."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from insight_edge.compile.graph.external import inline_external
from insight_edge.compile.importers.onnx import OnnxImporter
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import conv_model, model_of, value

WEIGHT = np.arange(6, dtype=np.float32)


def model_at(location: str, **said: str) -> ModelProto:
    """A model whose weight `w` of 24 bytes is said to lie elsewhere."""
    node = helper.make_node("Add", ["x", "w"], ["y"])
    model = model_of([node], [value("x", (1, 6))], [value("y", (1, 6))])
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[6])
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in {"location": location, **said}.items():
        tensor.external_data.add(key=key, value=text)
    model.graph.initializer.append(tensor)
    return model


def refused(model: ModelProto, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        inline_external(model, folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("tensor 'w'")
    return str(caught.value)


@pytest.mark.parametrize("said", [{}, {"offset": "8"}, {"offset": "8", "length": "24"}])
def test_weight_beside_the_model_becomes_its_own(said: dict[str, str], tmp_path: Path) -> None:
    offset = int(said.get("offset", "0"))
    (tmp_path / "w.bin").write_bytes(b"\0" * offset + WEIGHT.tobytes() + b"more")
    model = model_at("w.bin", **said)
    assert inline_external(model, tmp_path)
    (tensor,) = model.graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), WEIGHT)
    assert not tensor.external_data


def test_weight_below_the_folder_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(WEIGHT.tobytes())
    assert inline_external(model_at("./data/w.bin"), tmp_path)


def test_model_without_such_weights_is_left_alone(tmp_path: Path) -> None:
    model = conv_model()
    assert not inline_external(model, tmp_path)
    assert model == conv_model()


@pytest.mark.parametrize("location", ["", "/etc/passwd", "../w.bin", "a/../../w.bin", ".", "a\0b"])
def test_path_that_leaves_the_folder_is_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    refused(model_at(location), tmp_path / "model")


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "w.bin").write_bytes(WEIGHT.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "w.bin").symlink_to(tmp_path / "outside" / "w.bin")
    (folder / "deep").symlink_to(tmp_path / "outside")
    assert "without following links" in refused(model_at("w.bin"), folder)
    assert "without following links" in refused(model_at("deep/w.bin"), folder)


def test_what_is_no_plain_file_is_refused_and_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert "is not a plain file" in refused(model_at("pipe"), tmp_path)
    assert "is not a plain file" in refused(model_at("folder"), tmp_path)
    assert "no such file" in refused(model_at("absent"), tmp_path)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"offset": "-1"}, "odd place"),
        ({"offset": "1e3"}, "odd place"),
        ({"offset": "9" * 30}, "odd place"),
        ({"offset": "4"}, "is too short"),
        ({"length": "20"}, "needs 24 bytes, its place in another file is 20"),
    ],
)
def test_place_that_does_not_hold_the_weight_is_refused(
    said: dict[str, str], expected: str, tmp_path: Path
) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    assert expected in refused(model_at("w.bin", **said), tmp_path)


@pytest.mark.parametrize("dims", [[2**40], [2**31], [-6]])
def test_weight_larger_than_any_model_is_refused_unread(dims: list[int], tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    model = model_at("w.bin")
    model.graph.initializer[0].dims[:] = dims
    refused(model, tmp_path)


def test_many_weights_may_not_add_up_to_more(tmp_path: Path) -> None:
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(2**28)
    model = model_at("w.bin")
    model.graph.initializer[0].dims[:] = [2**26]
    first = model.graph.initializer[0]
    for index in range(9):
        model.graph.initializer.add().CopyFrom(first)
        model.graph.initializer[-1].name = f"w{index}"
    with pytest.raises(ModelError, match=r"tensor 'w\d' makes it larger than"):
        inline_external(model, tmp_path)


@pytest.mark.slow
def test_file_that_onnx_itself_splits_is_read_as_one(tmp_path: Path) -> None:
    onnx.save_model(
        conv_model(),
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="m.weights",
        size_threshold=0,
        convert_attribute=False,
    )
    source = OnnxImporter().read(tmp_path / "m.onnx", trust_pickle=False)
    whole = onnx.load_model_from_string(source.data)
    names = {tensor.name: tensor for tensor in whole.graph.initializer}
    for tensor in conv_model().graph.initializer:
        expected = onnx.numpy_helper.to_array(tensor)
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(names[tensor.name]), expected)
