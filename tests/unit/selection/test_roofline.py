# SPDX-License-Identifier: Apache-2.0
"""A bound on latency: by hand, and what must hold of any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.workload import Operation
from insight_edge.selection.roofline import Roof, bound

COUNTS = st.integers(0, 10**12)


def operation(flops: int, parameter_bytes: int = 0, name: str = "n") -> Operation:
    return Operation(
        name=name,
        op="Conv",
        flops=flops,
        read_bytes=0,
        written_bytes=0,
        parameter_bytes=parameter_bytes,
    )


OPERATIONS = st.lists(st.builds(operation, COUNTS, COUNTS), min_size=1, max_size=8)
RATES = st.floats(1e6, 1e15)


def test_each_operator_takes_the_longer_of_arithmetic_and_weights() -> None:
    work = [operation(2_000, 100, "long"), operation(1_000, 3_000, "heavy")]
    found = bound(work, Roof(ops_per_s=1e6, bandwidth_bytes_per_s=1e6, cache_bytes=0))
    assert found is not None
    assert found.latency_ms == pytest.approx(2.0 + 3.0)
    assert found.costliest.name == "heavy"
    assert found.share == pytest.approx(0.6)
    assert found.counted == ("arithmetic", "weights")


def test_weights_that_a_cache_holds_are_not_read_again() -> None:
    roof = Roof(bandwidth_bytes_per_s=1e6, cache_bytes=1_000)
    assert bound([operation(5, 1_000)], roof) is None
    found = bound([operation(5, 3_000)], roof)
    assert found is not None
    assert found.latency_ms == pytest.approx(2.0)


def test_no_figure_gives_no_bound() -> None:
    assert bound([operation(1, 1)], Roof()) is None
    assert bound([], Roof(ops_per_s=1.0)) is None


@given(OPERATIONS, RATES, RATES, st.integers(0, 10**12))
def test_better_hardware_never_has_a_longer_bound(
    work: list[Operation], ops: float, bandwidth: float, cache: int
) -> None:
    plain = bound(work, Roof(ops_per_s=ops, bandwidth_bytes_per_s=bandwidth, cache_bytes=cache))
    better = (
        Roof(ops_per_s=2 * ops, bandwidth_bytes_per_s=bandwidth, cache_bytes=cache),
        Roof(ops_per_s=ops, bandwidth_bytes_per_s=2 * bandwidth, cache_bytes=cache),
        Roof(ops_per_s=ops, bandwidth_bytes_per_s=bandwidth, cache_bytes=2 * cache),
        Roof(ops_per_s=ops),
        Roof(bandwidth_bytes_per_s=bandwidth, cache_bytes=cache),
    )
    for roof in better:
        other = bound(work, roof)
        least = 0.0 if other is None else other.latency_ms
        assert least <= (0.0 if plain is None else plain.latency_ms * (1 + 1e-9))


@given(OPERATIONS, RATES)
def test_bound_is_at_least_all_arithmetic_at_the_peak(work: list[Operation], ops: float) -> None:
    found = bound(work, Roof(ops_per_s=ops, bandwidth_bytes_per_s=1e9, cache_bytes=0))
    arithmetic_ms = sum(each.flops for each in work) / ops * 1e3
    assert (0.0 if found is None else found.latency_ms) >= arithmetic_ms * (1 - 1e-9)


@given(OPERATIONS, RATES)
def test_smaller_weights_never_have_a_longer_bound(work: list[Operation], rate: float) -> None:
    roof = Roof(bandwidth_bytes_per_s=rate, cache_bytes=10)
    whole, quarter = bound(work, roof), bound(work, roof, item_share=0.25)
    least = 0.0 if quarter is None else quarter.latency_ms
    assert least <= (0.0 if whole is None else whole.latency_ms * (1 + 1e-9))
