# SPDX-License-Identifier: Apache-2.0
"""Layers of an artifact that names none of them are told by what its steps make."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.compile.layers.divergence import EXACT_DB, SourceTensor
from insight_edge.compile.layers.matching import lost_error, lost_layers, matched

Array = NDArray[np.float32]
COUNT = 8


def values(seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32)


def graph(data: st.DataObject) -> list[SourceTensor]:
    """Draw a graph of which each layer takes one or two of those before, and the last ends it."""
    order: list[SourceTensor] = []
    for place in range(COUNT):
        names = [one.name for one in order]
        last = names[-1:] if place == COUNT - 1 else []
        more = data.draw(st.lists(st.sampled_from(names), max_size=2)) if names else []
        taken = tuple(dict.fromkeys([*last, *more]))
        order.append(SourceTensor(name=f"t{place}", op="Conv", node=f"n{place}", inputs=taken))
    return order


@given(data=st.data(), broken=st.none() | st.integers(0, COUNT - 1))
def test_first_layer_of_which_nothing_agrees_is_the_one_that_is_wrong(
    data: st.DataObject, broken: int | None
) -> None:
    order = graph(data)
    source = {one.name: values(place) for place, one in enumerate(order)}
    wrong: set[str] = set()
    for place, one in enumerate(order):
        if place == broken or wrong.intersection(one.inputs):
            wrong.add(one.name)
    made = {
        f"{place:05} kernel": source[one.name] + (values(90 + place) if one.name in wrong else 0)
        for place, one in enumerate(order)
    }
    seen = matched(order, source, made, enough_db=60.0)
    assert seen.keys() == source.keys() - wrong
    lost = lost_layers(order, source, list(seen))
    assert [one.name for one in lost] == ([] if broken is None else [f"t{broken}"])


def test_what_is_fused_away_is_not_lost_where_what_follows_agrees() -> None:
    order = [
        SourceTensor(name=f"t{i}", op="Conv", node=f"n{i}", inputs=(f"t{i - 1}",)) for i in range(6)
    ]
    source = {one.name: values(i) for i, one in enumerate(order)}
    made = {"0 a": source["t1"], "1 b": values(40), "2 c": values(41)}
    seen = matched(order, source, made, enough_db=60.0)
    assert list(seen) == ["t1"]
    (lost,) = lost_layers(order, source, list(seen))
    assert lost.name == "t2"
    assert lost_error(lost, source, made, enough_db=60.0).diverged


def test_layers_that_were_fused_into_one_step_are_all_named() -> None:
    """Both branches went into the step that adds them: either may be what is wrong with it."""
    taken = {"stem": (), "left": ("stem",), "right": ("stem",), "sum": ("left", "right")}
    order = [SourceTensor(name=n, op="Gemm", node=n, inputs=i) for n, i in taken.items()]
    source = {one.name: values(place) for place, one in enumerate(order)}
    seen = matched(order, source, {"0 a": source["stem"], "1 b": values(50)}, enough_db=60.0)
    assert [one.name for one in lost_layers(order, source, list(seen))] == ["left", "right"]


def test_other_axes_are_the_same_value_and_other_sizes_are_none() -> None:
    order = [SourceTensor(name="t", op="Conv", node="n")]
    source = {"t": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)}
    made = {"0 a": source["t"].transpose(0, 2, 3, 1)}
    assert matched(order, source, made, enough_db=60.0).keys() == {"t"}
    error = lost_error(order[0], source, {"0 a": values(0)}, enough_db=60.0)
    assert (error.diverged, error.sqnr_db) == (True, -EXACT_DB)
