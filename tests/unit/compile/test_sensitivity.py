# SPDX-License-Identifier: Apache-2.0
"""Layers, what quantising one costs, and how many are tried in floating point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.quantize.sensitivity import (
    NO_NOISE_DB,
    Layer,
    Sensitivity,
    grouped,
    ladder,
    worst_sqnr_db,
)


def sensitivity(*ratios_db: float) -> Sensitivity:
    return Sensitivity(
        layers=tuple(
            Layer(name=f"l{i}", op="Conv", members=(f"l{i}",), why="", sqnr_db=ratio_db)
            for i, ratio_db in enumerate(sorted(ratios_db))
        )
    )


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8))
def test_every_operator_is_in_one_layer_in_order(multiplies: list[bool], most: int) -> None:
    names = [str(index) for index in range(len(multiplies))]
    layers = grouped(list(zip(names, multiplies, strict=True)), most)
    assert [name for layer in layers for name in layer] == names
    assert len(layers) <= most
    assert all(layers)


def test_layer_is_a_product_with_what_follows_and_the_first_has_what_precedes() -> None:
    operators = [("pad", False), ("conv", True), ("relu", False), ("gemm", True)]
    assert grouped(operators) == [["pad", "conv", "relu"], ["gemm"]]


def test_ratio_is_of_the_worst_output_over_all_batches() -> None:
    source = [{"a": np.full(10, 1.0), "b": np.full(10, 1.0)}] * 2
    found = [{"a": np.full(10, 1.1), "b": np.full(10, 1.01)}] * 2
    assert worst_sqnr_db(source, found) == pytest.approx(20.0)
    assert worst_sqnr_db(source, source) == NO_NOISE_DB
    broken = [{"a": np.full(10, np.nan), "b": np.full(10, 1.0)}] * 2
    assert worst_sqnr_db(source, broken) == -NO_NOISE_DB


@pytest.mark.parametrize(
    ("ratios_db", "wanted"),
    [
        ((), []),
        ((5.0,), []),
        ((5.0, 50.0), [1]),
        ((5.0, 50.0, 50.0, 50.0), [1]),
        ((5.0, 6.0, 50.0, 50.0), [2, 1]),
        ((20.0,) * 20, [10, 8, 4, 2, 1]),
    ],
)
def test_ladder_goes_from_the_safest_down_to_one(
    ratios_db: tuple[float, ...], wanted: list[int]
) -> None:
    assert ladder(sensitivity(*ratios_db)) == wanted


@given(st.lists(st.floats(-200, 200), max_size=40))
def test_ladder_falls_and_leaves_at_least_half(ratios_db: list[float]) -> None:
    rungs = ladder(sensitivity(*ratios_db))
    assert rungs == sorted(set(rungs), reverse=True)
    assert all(0 < rung <= len(ratios_db) / 2 for rung in rungs)
