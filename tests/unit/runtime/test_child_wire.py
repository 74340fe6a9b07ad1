# SPDX-License-Identifier: Apache-2.0
"""What parent and child say to each other: arrays come out as they went in, nonsense does not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from insight_edge.runtime.child import wire

MEMORY = 1 << 16
PLAIN = st.one_of(
    npst.integer_dtypes(),
    npst.floating_dtypes(),
    npst.boolean_dtypes(),
    npst.unicode_string_dtypes(),
)
ARRAYS = st.dictionaries(
    st.text(max_size=8), npst.arrays(PLAIN, npst.array_shapes(min_dims=0, min_side=0)), max_size=4
)


@settings(max_examples=50)
@given(ARRAYS, st.integers(0, 100))
def test_arrays_come_out_as_they_went_in(arrays: dict[str, NDArray[Any]], start: int) -> None:
    tensors, end = wire.placed(arrays, start)
    memory = bytearray(end + 1)
    told = wire.asked.decode(wire.packet(tensors))
    for place, array in zip(wire.views(told, memory).values(), arrays.values(), strict=True):
        place[...] = array
    found = wire.views(told, memory)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()
    starts = [tensor.at for tensor in tensors]
    assert starts == sorted(starts)
    assert all(at >= start and at % wire.ALIGNMENT == 0 for at in starts)


@pytest.mark.parametrize(
    ("dtype", "shape", "at"),
    [
        ("<f4", (1 << 14, 2), 0),
        ("<f4", (1,), MEMORY),
        ("<f4", (1,), -4),
        ("<f4", (-1,), 0),
        ("<f4", (2**62, 2**62), 0),
        ("<f4", (2**70,), 0),
        ("O", (1,), 0),
        ("V8", (1,), 0),
        ("nonsense", (1,), 0),
    ],
)
def test_place_that_is_none_is_refused(dtype: str, shape: tuple[int, ...], at: int) -> None:
    with pytest.raises(ValueError, match="'y'"):
        wire.views([wire.Tensor("y", dtype, shape, at)], bytearray(MEMORY))


def test_objects_do_not_pass() -> None:
    with pytest.raises(TypeError, match="'x': arrays of object do not pass"):
        wire.placed({"x": np.array(["a", 1], object)})


def test_packet_that_nobody_would_receive_is_not_sent() -> None:
    with pytest.raises(ValueError, match="at most"):
        wire.packet(wire.Failed("x" * wire.MAX_PACKET_BYTES))
