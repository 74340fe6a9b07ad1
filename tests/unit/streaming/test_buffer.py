# SPDX-License-Identifier: Apache-2.0
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.errors import ConfigurationError
from insight_edge.streaming.buffer import POLICIES, Buffer, Ended, Policy

DROPPING = st.sampled_from([policy for policy in POLICIES if policy != "block"])


@given(DROPPING, st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_every_item_is_taken_once_dropped_once_or_waits(
    policy: Policy, capacity: int, offers: list[bool]
) -> None:
    buffer: Buffer[int] = Buffer(capacity, policy)
    taken: list[int] = []
    dropped: list[int] = []
    for number, offers_one in enumerate(offers):
        if offers_one:
            gone = buffer.put(number)
            dropped += [] if gone is None else [gone]
        else:
            found = buffer.take(0)
            taken += [] if found is None else [found]
        assert buffer.waiting <= buffer.capacity
        assert buffer.offered == buffer.taken + buffer.dropped + buffer.waiting
    buffer.end()
    while buffer.waiting:
        found = buffer.take(0)
        assert found is not None
        taken.append(found)
    assert taken == sorted(taken)
    assert sorted(taken + dropped) == [n for n, offers_one in enumerate(offers) if offers_one]
    assert (buffer.taken, buffer.dropped) == (len(taken), len(dropped))
    with pytest.raises(Ended):
        buffer.take(0)


def test_latest_is_the_newest_alone() -> None:
    buffer: Buffer[int] = Buffer(9, "latest")
    assert [buffer.put(number) for number in range(3)] == [None, 0, 1]
    assert buffer.take(0) == 2


@given(st.integers(1, 3), st.integers(0, 20))
def test_who_has_to_wait_loses_nothing(capacity: int, count: int) -> None:
    buffer: Buffer[int] = Buffer(capacity, "block")

    def offer() -> None:
        for number in range(count):
            assert buffer.put(number) is None
        buffer.end()

    source = threading.Thread(target=offer)
    source.start()
    taken = []
    with suppress(Ended):
        while True:
            taken.append(buffer.take(10))
    source.join()
    assert taken == list(range(count))
    assert buffer.most <= capacity


def test_who_waits_for_room_is_told_of_the_end_and_not_counted() -> None:
    buffer: Buffer[int] = Buffer(1, "block")
    buffer.put(0)
    told = threading.Event()

    def offer() -> None:
        with pytest.raises(Ended):
            buffer.put(1)
        told.set()

    threading.Thread(target=offer).start()
    assert not told.wait(0.01)
    buffer.close()
    assert told.wait(10)
    assert (buffer.offered, buffer.waiting) == (1, 1)


@pytest.mark.parametrize(("capacity", "policy"), [(0, "block"), (1, "forget")])
def test_line_that_cannot_be_meant_is_refused(capacity: int, policy: Policy) -> None:
    with pytest.raises(ConfigurationError):
        Buffer(capacity, policy)
