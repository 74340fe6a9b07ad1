# SPDX-License-Identifier: Apache-2.0
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import TensorMismatchError
from insight_edge.runtime.boundary import Boundary

X = TensorSpec(name="x", dtype="float32", shape=("batch", 3))
MASK = TensorSpec(name="mask", dtype="bool", shape=("batch", 2, "length"))


def ones(rows: int = 1) -> np.ndarray[Any, Any]:
    return np.ones((rows, 3), np.float32)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_rows_is_the_batch_of_the_first_input(rows: int) -> None:
    boundary = Boundary([X, MASK])
    inputs = {"x": ones(rows), "mask": np.ones((rows, 2, 5), bool)}
    assert [boundary.rows(inputs), boundary.rows(inputs)] == [rows, rows]


def test_rows_accepts_any_mapping_and_any_order() -> None:
    inputs = OrderedDict(mask=np.ones((4, 2, 1), bool), x=ones(4))
    assert Boundary([X, MASK]).rows(inputs) == 4


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "input 'x' is missing"),
        ({"x": ones(), "z": ones()}, "there is no input 'z'"),
        ({"z": ones()}, "input 'x' is missing"),
        ({"x": [[1.0, 2.0, 3.0]]}, "expected float32 (batch, 3), found list"),
        ({"x": 1.0}, "found float"),
        ({"x": np.float32(1.0)}, "found float32"),
        ({"x": None}, "found NoneType"),
        ({"x": np.ones((1, 3))}, "expected float32, found float64"),
        ({"x": np.ones((1, 3), ">f4")}, "expected float32, found >f4"),
        ({"x": np.ones(3, np.float32)}, "found rank 1: (3,)"),
        ({"x": np.ones((1, 1, 3), np.float32)}, "found rank 3: (1, 1, 3)"),
        ({"x": np.ones((1, 4), np.float32)}, "found (1, 4): dimension 1 must be 3"),
        ({"x": np.ones((0, 3), np.float32)}, "found (0, 3): dimension 0 is empty"),
        (ones(), "expected arrays by name, found ndarray"),
        (None, "expected arrays by name, found NoneType"),
    ],
)
def test_rows_names_tensor_expected_and_found(inputs: Any, said: str) -> None:
    boundary = Boundary([X])
    for _ in range(2):
        with pytest.raises(TensorMismatchError) as caught:
            boundary.rows(inputs)
        assert said in str(caught.value)
        boundary.rows({"x": ones()})  # what is known must not let the next one pass


def test_rows_refuses_one_symbol_with_two_sizes() -> None:
    inputs = {"x": ones(2), "mask": np.ones((3, 2, 5), bool)}
    with pytest.raises(TensorMismatchError, match=r"'mask'.*dimension 0 must be 2"):
        Boundary([X, MASK]).rows(inputs)


def test_rows_hints_at_the_batch_dimension() -> None:
    with pytest.raises(TensorMismatchError) as caught:
        Boundary([X]).rows({"x": np.ones(3, np.float32)})
    assert caught.value.hint is not None
    assert "array[None]" in caught.value.hint


def test_rows_never_looks_at_values() -> None:
    assert Boundary([X]).rows({"x": np.full((1, 3), np.nan, np.float32)}) == 1
