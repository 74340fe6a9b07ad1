# SPDX-License-Identifier: Apache-2.0
"""Bodies of the Open Inference Protocol: what is asked arrives bit by bit, or is refused."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from insight_edge.documents.open_inference import (
    DATATYPES,
    MAX_NAME,
    MAX_TENSORS,
    metadata_from_spec,
)
from insight_edge.documents.open_inference_body import (
    Body,
    Question,
    body_from_answer,
    question_from_body,
)
from insight_edge.documents.open_inference_tensors import bytes_from_array, list_from_array
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import InputError, TensorMismatchError

Array = NDArray[Any]
NUMBERS = [np.dtype(name) for name in DATATYPES if name != "str"]
MODEL = ("digits", "3")


def arrays(*, finite: bool) -> st.SearchStrategy[Array]:
    shapes = hnp.array_shapes(max_dims=4, max_side=4)
    odd = None if not finite else False

    def of(dtype: np.dtype[Any]) -> st.SearchStrategy[Array]:
        return hnp.arrays(
            dtype, shapes, elements=hnp.from_dtype(dtype, allow_nan=odd, allow_infinity=odd)
        )

    texts = hnp.arrays("U5", shapes, elements=st.text(max_size=5).map(lambda t: t.rstrip("\0")))
    return st.one_of(st.sampled_from(NUMBERS).flatmap(of), texts)


def datatype(array: Array) -> str:
    return DATATYPES["str" if array.dtype.kind == "U" else array.dtype.name]


def tensor(array: Array, **more: Any) -> dict[str, Any]:
    return {"name": "x", "shape": list(array.shape), "datatype": datatype(array), **more}


def ask(*inputs: Mapping[str, Any], binary: bytes | None = None, **more: Any) -> Question:
    head = json.dumps({"inputs": inputs, **more}).encode()
    return question_from_body(head + (binary or b""), None if binary is None else len(head))


def same(one: Array, other: Array) -> bool:
    return (
        one.dtype.kind == other.dtype.kind
        and one.shape == other.shape
        and bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    )


@given(arrays(finite=False), st.integers(0, 7))
def test_binary_tensor_is_the_array_that_was_sent(array: Array, padding: int) -> None:
    data = bytes_from_array(array)
    told = tensor(array, parameters={"binary_data_size": len(data)})
    found = ask(told, binary=data, id="i" * padding).inputs["x"]
    assert same(found, array)
    assert found.flags.aligned


@given(arrays(finite=True), st.booleans())
def test_json_tensor_is_the_array_that_was_sent(array: Array, nested: bool) -> None:
    data = array.tolist() if nested else list_from_array("x", array)
    assert same(ask(tensor(array, data=data)).inputs["x"], array)


@given(arrays(finite=True), st.booleans())
def test_answer_is_read_back_as_it_was_given(array: Array, binary: bool) -> None:
    question = Question("7", None, {}, {"y": binary}, False)
    body = body_from_answer(question, MODEL, {"y": array, "z": array}, {"result": "local/0"})
    head = json.loads(body.data[: body.json_bytes])
    assert (head["model_name"], head["model_version"], head["id"]) == (*MODEL, "7")
    assert [output["name"] for output in head["outputs"]] == ["y"]
    assert same(_read(body, head["outputs"][0]), array)


def _read(body: Body, output: dict[str, Any]) -> Array:
    """Read an output by the same rules, as an input."""
    tail = b"" if body.json_bytes is None else body.data[body.json_bytes :]
    return ask({**output, "name": "x"}, binary=tail).inputs["x"]


@given(st.binary(max_size=300), st.none() | st.integers(0, 400))
def test_any_bytes_are_a_question_or_refused(body: bytes, json_bytes: int | None) -> None:
    with suppress(InputError):
        assert question_from_body(body, json_bytes).inputs


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
)
odd_tensor = st.fixed_dictionaries(
    {
        "name": st.just("x") | json_values,
        "shape": st.lists(st.integers(0, 4), max_size=3) | json_values,
        "datatype": st.sampled_from(sorted(DATATYPES.values())) | json_values,
    },
    optional={"data": json_values, "parameters": st.dictionaries(
        st.sampled_from(["binary_data_size", "binary_data", "key"]), json_values)},
)  # fmt: skip


@given(st.lists(odd_tensor, max_size=3), st.binary(max_size=20))
def test_odd_documents_are_a_question_or_refused(inputs: list[Any], binary: bytes) -> None:
    head = json.dumps({"inputs": inputs}).encode()
    with suppress(InputError):
        found = question_from_body(head + binary, len(head))
        assert set(found.inputs) == {str(one["name"]) for one in inputs}


X = np.array([[1.5, 2.5]], np.float32)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (tensor(X, data=[1.5]), "input 'x': expected FP32 (1, 2): that is 2 elements, found 1"),
        (tensor(X, data=[[1.5], [2.5]]), "the lists have shape (2, 1)"),
        (tensor(X, data=[[1.5, 2.5], [1.5]]), "input 'x': expected FP32 (1, 2)"),
        (tensor(X, data=["1.5", "2.5"]), "Expected `float`, got `str`"),
        (tensor(X, data=[None, 2.5]), "Expected `float`, got `null`"),
        (tensor(X, data=[True, 2.5]), "Expected `float`, got `bool`"),
        (tensor(X, data=[1e39, 2.5]), "float too large"),
        (tensor(X, data=[[1e39, 2.5]]), "a number is out of its range"),
        (tensor(X.astype("f2"), data=[1e6, 2.5]), "float too large"),
        (tensor(X.astype("i1"), data=[300, 1]), "-128 <= number <= 127"),
        (tensor(X.astype("i1"), data=[[300, 1]]), "300"),
        (tensor(X.astype("u8"), data=[2**64, 1]), "input 'x': expected UINT64 (1, 2)"),
        (tensor(X.astype("i4"), data=[1.5, 1]), "not an integer"),
        (tensor(X.astype("i4"), data=[[1.5, 1]]), "Expected `int`, got `float`"),
        (tensor(X.astype("?"), data=[1, 0]), "its elements are numbers"),
        (tensor(X.astype("?"), data=[[1, 0]]), "Expected `bool`, got `int`"),
        (tensor(X), "neither data nor the parameter binary_data_size"),
        (tensor(X) | {"datatype": "BF16", "data": [1, 2]}, "there is no datatype 'BF16'"),
        (tensor(X) | {"shape": [-1, 2]}, "shape"),
        (tensor(X, data=[1, 2], parameters={"shared_memory_region": "r"}), "shared memory"),
    ],
)
def test_tensor_that_is_wrong_is_refused_by_name(told: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        ask(told)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("size", "binary", "said"),
    [
        (8, b"1234567", "binary_data_size is 8, 7 bytes are left"),
        (4, b"1234", "that is 8 bytes, found 4"),
        (8, b"123456789", "1 bytes after the last binary tensor"),
        (-8, b"", "expected a length in bytes"),
        (True, b"1", "expected a length in bytes"),
        ("8", b"12345678", "expected a length in bytes"),
        (2**62, b"", "0 bytes are left"),
    ],
)
def test_binary_part_of_another_length_is_refused(size: Any, binary: bytes, said: str) -> None:
    with pytest.raises(InputError) as refused:
        ask(tensor(X, parameters={"binary_data_size": size}), binary=binary)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x02\0\0\0a", "element 0 is cut short"),
        (b"\x02\0", "the length of an element is cut short"),
        (b"\x01\0\0\0\xff", "element 0 is not UTF-8"),
        (b"", "that is 1 elements, found 0"),
    ],
)
def test_text_that_is_cut_or_not_text_is_refused(data: bytes, said: str) -> None:
    told = tensor(np.array(["a"]), parameters={"binary_data_size": len(data)})
    with pytest.raises(TensorMismatchError) as refused:
        ask(told, binary=data)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "asked",
    [
        {"inputs": []},
        {"inputs": [tensor(X, data=[1, 2])] * 2},
        {"inputs": [tensor(X, data=[1, 2])] * (MAX_TENSORS + 1)},
        {"inputs": [tensor(X, data=[1, 2])], "id": "i" * (MAX_NAME + 1)},
        {"inputs": [tensor(X, data=[1, 2])], "parameters": {"key": "k" * (MAX_NAME + 1)}},
        {"inputs": [tensor(X, data=[1, 2])], "parameters": {"binary_data_output": 1}},
        {"inputs": [tensor(X, data=[1, 2])], "parameters": {"sequence_id": 5}},
        {"inputs": [tensor(X, data=[1, 2])], "outputs": [{"name": "y"}, {"name": "y"}]},
    ],
)
def test_what_is_not_served_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        question_from_body(json.dumps(asked).encode(), None)


def test_key_is_the_parameter_or_else_the_id() -> None:
    told = tensor(X, data=[1, 2])
    assert ask(told).key is None
    assert ask(told, id="i").key == "i"
    assert ask(told, id="i", parameters={"key": "k"}).key == "k"


def test_json_longer_than_the_body_is_refused() -> None:
    with pytest.raises(InputError, match="Inference-Header-Content-Length is 9"):
        question_from_body(b"{}", 9)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_json_never_tells_a_number_that_is_none(odd: float) -> None:
    y = {"y": np.array([odd], np.float32)}
    with pytest.raises(TensorMismatchError, match="JSON has no word"):
        body_from_answer(Question("", None, {}, {}, False), MODEL, y, {})
    body = body_from_answer(Question("", None, {}, {}, True), MODEL, y, {})
    assert body.data.endswith(bytes_from_array(y["y"]))


def test_unknown_output_is_refused_with_those_there_are() -> None:
    with pytest.raises(TensorMismatchError, match="no output 'z'") as refused:
        body_from_answer(Question("", None, {}, {"z": True}, False), MODEL, {"y": X}, {})
    assert refused.value.hint == "outputs: y"


def test_metadata_has_minus_one_where_any_size_goes() -> None:
    told = metadata_from_spec(TensorSpec(name="x", dtype="float32", shape=("batch", 3)))
    assert (told.datatype, told.shape) == ("FP32", (-1, 3))
