# SPDX-License-Identifier: Apache-2.0
"""Published latencies: what they are of is known here, and what is said of them is so."""

import pytest
from msgspec.structs import replace

from benchmarks.prediction import workloads_of
from benchmarks.published import FILE, Published, check, read
from benchmarks.published_networks import PUBLISHED
from insight_edge.compile.profiles.reading import shipped_profiles
from insight_edge.documents.target import target_from_token

PROFILES = shipped_profiles()


def test_every_figure_is_of_something_that_is_known_here_and_has_its_source() -> None:
    published = read(FILE)
    for one in published.figures:
        assert one.profile in PROFILES
        assert target_from_token(one.target).token == one.target
        assert (one.of == "accelerator") == bool(PROFILES[one.profile].accelerators)
        assert one.latency_ms.keys() <= PUBLISHED.keys()
        assert min(one.latency_ms.values()) > 0
    assert {one.source for one in published.figures} == published.sources.keys()
    assert all(one.address.startswith("https://") for one in published.sources.values())


@pytest.mark.parametrize(
    ("name", "giga", "millions"),
    [
        ("mobilenet-v1", 1.14, 4.2),
        ("mobilenet-v2", 0.60, 3.5),
        ("mobilenet-v3-large", 0.44, 5.4),
        ("mobilenet-v3-small", 0.12, 2.5),
    ],
)
def test_a_network_has_the_operations_and_weights_of_its_paper(
    name: str, giga: float, millions: float
) -> None:
    workload = workloads_of({name: PUBLISHED[name]()})[name]
    assert workload.flops / 1e9 == pytest.approx(giga, rel=0.04)
    assert workload.parameter_bytes / 4e6 == pytest.approx(millions, rel=0.03)
    assert workload.unknown_ops == ()


def test_a_board_is_asked_as_it_was_run() -> None:
    whole = read(FILE)
    small = replace(whole.figures[0], latency_ms={"mobilenet-v3-small": 15.0})
    slow = replace(small, threads=1, clock_hz=0.75e9)
    [one, other] = check(Published(sources=whole.sources, figures=(small, slow)), PROFILES)
    assert one.foretold is not None
    assert other.foretold is not None
    assert other.foretold.p50_ms > 3 * one.foretold.p50_ms
    low, high = one.foretold.low_ms, one.foretold.high_ms
    assert one.covered == (low <= 15.0 <= high)
