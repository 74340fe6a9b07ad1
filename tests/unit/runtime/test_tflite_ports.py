# SPDX-License-Identifier: Apache-2.0
"""What callers pass and get, whatever the tensors of a `.tflite` file look like."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from insight_edge.documents.tensors import TensorSpec
from insight_edge.runtime.engines.tflite_ports import Port, port

FLOATS = st.floats(-1e6, 1e6, width=32)


def details(dtype: str, shape: tuple[int, ...], scale: float = 0.0, zero: int = 0) -> Any:
    return {"dtype": np.dtype(dtype).type, "shape": np.array(shape), "index": 7,
            "quantization": (scale, zero)}  # fmt: skip


def image_port(axes: tuple[int, ...] | None) -> Port:
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 3, 4, 5))
    return port(spec, details("float32", (1, 4, 5, 3)), axes, is_input=True)


def byte_port(scale: float, zero: int, dtype: str = "int8", *, is_input: bool = True) -> Port:
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 3))
    return port(spec, details(dtype, (1, 3), scale, zero), None, is_input=is_input)


@given(arrays.arrays(np.float32, (2, 3, 4, 5), elements=FLOATS))
def test_axes_lead_to_the_file_and_back(rows: Any) -> None:
    one = image_port((0, 2, 3, 1))
    inside = one.to_file(rows)
    assert inside.shape == (2, 4, 5, 3)
    back = one.to_caller(inside)
    np.testing.assert_array_equal(back, rows)
    assert back.flags.c_contiguous


@given(FLOATS)
def test_number_by_itself_is_a_list_of_one_in_the_file(value: float) -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=())
    one = port(spec, details("float32", (1,)), None, is_input=True)
    inside = one.to_file(np.array(value, np.float32))
    assert inside.shape == (1,)
    back = one.to_caller(inside)
    assert back.shape == ()
    assert float(back) == value


@pytest.mark.parametrize("shape", [(2,), (1, 1)])
def test_number_by_itself_is_nothing_longer(shape: tuple[int, ...]) -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=())
    with pytest.raises(ValueError, match="rank"):
        port(spec, details("float32", shape), None, is_input=True)


@given(
    arrays.arrays(np.float32, (4, 3), elements=FLOATS),
    st.floats(2**-10, 2**10, width=32),
    st.integers(-128, 127),
)
def test_bytes_are_within_half_a_step_or_at_the_end(rows: Any, scale: float, zero: int) -> None:
    one = byte_port(scale, zero)
    found = one.to_caller(one.to_file(rows))
    low, high = (-128 - zero) * scale, (127 - zero) * scale
    wanted = np.clip(rows.astype(np.float64), low, high)
    assert found.dtype == np.float32
    # A thousandth more than half a step: the quotient is taken in 32 bits.
    assert np.all(np.abs(found - wanted) <= 0.501 * scale + 1e-5 * np.abs(wanted))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (127.4, 127), (1e30, 127),
     (-1e30, -128), (np.inf, 127), (-np.inf, -128), (np.nan, -128)],
)  # fmt: skip
def test_bytes_are_rounded_to_even_and_saturate(value: float, wanted: int) -> None:
    rows = np.full((1, 3), value, np.float32)
    assert byte_port(1.0, 0).to_file(rows).tolist() == [[wanted] * 3]


def test_unsigned_bytes_saturate_at_their_own_ends() -> None:
    rows = np.array([[-9.0, 0.0, 999.0]], np.float32)
    assert byte_port(1.0, 10, "uint8").to_file(rows).tolist() == [[1, 10, 255]]


def index_port() -> Port:
    spec = TensorSpec(name="ids", dtype="int64", shape=("batch", 2))
    return port(spec, details("int32", (1, 2)), None, is_input=True)


@given(arrays.arrays(np.int64, (3, 2), elements=st.integers(-(2**63), 2**63 - 1)))
def test_indices_arrive_as_they_are_or_not_at_all(rows: Any) -> None:
    bounds = np.iinfo(np.int32)
    if rows.min() < bounds.min or rows.max() > bounds.max:
        with pytest.raises(OverflowError, match="input 'ids' holds a number that int32 does not"):
            index_port().to_file(rows)
    else:
        inside = index_port().to_file(rows)
        assert inside.dtype == np.int32
        np.testing.assert_array_equal(inside, rows)


def test_narrow_integers_of_the_file_are_widened_for_callers() -> None:
    spec = TensorSpec(name="top", dtype="int64", shape=("batch",))
    found = port(spec, details("int32", (1,)), None, is_input=False).to_caller(
        np.array([3], np.int32)
    )
    assert (found.dtype, found.tolist()) == (np.dtype(np.int64), [3])


@pytest.mark.parametrize(
    ("dtype", "file_dtype", "is_input"),
    [("float32", "int32", True), ("int32", "float32", False), ("int32", "int64", False),
     ("float32", "int8", True), ("bool", "float32", True)],
)  # fmt: skip
def test_type_that_means_something_else_is_refused(
    dtype: str, file_dtype: str, is_input: bool
) -> None:
    spec = TensorSpec(name="x", dtype=dtype, shape=("batch",))
    with pytest.raises(ValueError, match=f"tensor 'x' is {file_dtype} in the file, not {dtype}"):
        port(spec, details(file_dtype, (1,)), None, is_input=is_input)


@pytest.mark.parametrize("axes", [(0, 2, 1), (0, 2, 3, 3), (1, 2, 3, 4)])
def test_axes_that_are_no_order_are_refused(axes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="tensor 'x'"):
        image_port(axes)
