# SPDX-License-Identifier: Apache-2.0
"""Where an artifact begins to differ from its source model, told from tensors alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.compile.layers.divergence import (
    CHANNELS_LAST,
    EXACT_DB,
    SourceTensor,
    aligned,
    compare_layers,
    first_diverged,
    sqnr_db,
    unhealed,
    worst_layers,
)

Array = NDArray[np.float32]
ORDER = tuple(SourceTensor(name=f"t{i}", op="Conv", node=f"n{i}") for i in range(6))


def values(seed: int, shape: tuple[int, ...] = (3, 4)) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def chain(broken: int | None) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return tensors of a source and of an artifact that is wrong from one layer on."""
    source = {one.name: values(i) for i, one in enumerate(ORDER)}
    found = {
        name: array + (values(99 + i) if broken is not None and i >= broken else 0)
        for i, (name, array) in enumerate(source.items())
    }
    return source, found


@given(broken=st.none() | st.integers(0, 5), seen=st.sets(st.integers(0, 5)))
def test_first_layer_that_is_seen_to_be_wrong_is_named(broken: int | None, seen: set[int]) -> None:
    source, found = chain(broken)
    kept = {f"t{i}": found[f"t{i}"] for i in seen}
    errors = compare_layers(ORDER, source, kept, enough_db=20.0)
    assert [error.tensor for error in errors] == [f"t{i}" for i in sorted(seen)]
    wrong = [i for i in sorted(seen) if broken is not None and i >= broken]
    first = first_diverged(errors)
    assert (first.tensor if first else None) == (f"t{wrong[0]}" if wrong else None)
    shown = worst_layers(errors, 2)
    assert [e.sqnr_db for e in shown] == sorted(e.sqnr_db for e in errors)[:2]


@pytest.mark.parametrize(
    ("wrong", "left"),
    [
        ({1}, {0, 2, 3}),  # t2 takes it and agrees: another tensor was compared
        ({1, 2}, {0, 1, 3}),  # t3 takes t2 and agrees
        ({1, 2, 3}, {0, 1, 2, 3}),  # wrong to the end
        ({3}, {0, 1, 2, 3}),  # nothing takes it
    ],
)
def test_error_that_no_layer_after_it_has_is_a_mistaken_name(
    wrong: set[int], left: set[int]
) -> None:
    order = [
        SourceTensor(name=f"t{i}", op="Conv", node=f"n{i}", inputs=(f"t{i - 1}",)) for i in range(4)
    ]
    source = {one.name: values(i) for i, one in enumerate(order)}
    found = {f"t{i}": source[f"t{i}"] + (values(50 + i) if i in wrong else 0) for i in range(4)}
    errors = compare_layers(order, source, found, enough_db=20.0)
    assert {error.tensor for error in unhealed(order, errors)} == {f"t{i}" for i in left}


@given(rank=st.sampled_from(sorted(CHANNELS_LAST)), size=st.integers(1, 3), data=st.data())
def test_channels_last_is_put_back_whatever_the_sizes(
    rank: int, size: int, data: st.DataObject
) -> None:
    shape = tuple(data.draw(st.integers(1, size), label="shape") for _ in range(rank))
    source = values(0, shape)
    back = aligned(source, source.transpose(CHANNELS_LAST[rank]))
    assert back is not None
    assert np.array_equal(back, source)


def test_axes_of_one_come_and_go_and_other_sizes_do_not_fit() -> None:
    source = values(0, (2, 5))
    back = aligned(source, source.reshape(2, 1, 1, 5))
    assert back is not None
    assert np.array_equal(back, source)
    assert aligned(source, values(0, (5, 1, 2))) is None
    assert aligned(source, values(0, (2, 6))) is None
    assert aligned(source, values(0, (5, 2))) is None


@given(st.integers(-100, 100))
def test_ratio_is_that_of_powers(decibels: int) -> None:
    source = values(1).astype(np.float64)
    noise = values(2).astype(np.float64)
    noise *= np.sqrt(np.square(source).sum() / np.square(noise).sum()) * 10 ** (-decibels / 20)
    assert sqnr_db(source, source + noise) == pytest.approx(decibels, abs=1e-3)


@pytest.mark.parametrize(
    ("source", "found", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], EXACT_DB),
        ([np.nan, np.inf], [np.nan, np.inf], EXACT_DB),
        ([0.0, 0.0], [1e-8, 0.0], EXACT_DB),
        ([0.0, 0.0], [1.0, 0.0], -EXACT_DB),
        ([1.0, 2.0], [np.nan, 2.0], -EXACT_DB),
        ([0.0, 0.0], [0.0, 0.0], EXACT_DB),
    ],
)
def test_what_has_no_ratio_is_right_or_wrong(
    source: list[float], found: list[float], expected: float
) -> None:
    assert sqnr_db(np.array(source), np.array(found)) == expected
