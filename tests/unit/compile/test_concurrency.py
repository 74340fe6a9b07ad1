# SPDX-License-Identifier: Apache-2.0
"""Builds share out processors and memory, whatever there is of either."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.building.concurrency import (
    builds_at_once,
    pin,
    shares,
    usable_cpus,
)
from insight_edge.compile.building.outcome import GIB, BuildLimits

MIB = 2**20


@pytest.mark.parametrize(
    ("wanted", "cpus", "free_gib", "model_mib", "limit_gib", "expected"),
    [
        (None, 8, 64, 1, 8, 5),
        (None, 2, 64, 1, 8, 2),
        (1, 8, 64, 1, 8, 1),
        (4, 2, 64, 1, 8, 2),
        (None, 8, 3, 1, 8, 2),
        (None, 8, 0, 1, 8, 1),
        (None, 8, 22, 1812, 8, 2),
        (None, 8, 22, 1812, 4, 5),
    ],
    ids=["count", "cpus", "wanted", "wanted-too-many", "memory", "no-memory", "large-model",
         "limited"],
)  # fmt: skip
def test_builds_at_once_are_bounded_by_what_is_scarce(
    wanted: int | None, cpus: int, free_gib: int, model_mib: int, limit_gib: int, expected: int
) -> None:
    found = builds_at_once(
        5,
        wanted=wanted,
        cpus=cpus,
        free_bytes=free_gib * GIB,
        model_bytes=model_mib * MIB,
        limits=BuildLimits(memory_bytes=limit_gib * GIB),
    )
    assert found == expected


@given(st.sets(st.integers(0, 500), min_size=1, max_size=64), st.data())
def test_shares_are_all_processors_once_and_almost_equal(
    cpus: set[int], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(cpus)))
    found = shares(tuple(cpus), count)
    assert [cpu for share in found for cpu in share] == sorted(cpus)
    lengths = {len(share) for share in found}
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1


def test_pin_holds_for_its_thread_and_what_that_starts_alone() -> None:
    before = usable_cpus()
    seen = []

    def pinned() -> None:
        pin(before[:1])
        pid = os.fork()
        if not pid:
            os._exit(len(usable_cpus()))
        seen.append((usable_cpus(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))

    thread = threading.Thread(target=pinned)
    thread.start()
    thread.join()
    assert seen == [(before[:1], 1)]
    assert usable_cpus() == before
