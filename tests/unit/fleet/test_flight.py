# SPDX-License-Identifier: Apache-2.0
"""What is under way is bounded, taken once, and forgotten with the connection."""

from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.codec import digest
from insight_edge.documents.topics import Kind
from insight_edge.fleet.link.flight import MAX_BYTES, Flight, Outgoing


def message(payload: bytes) -> Outgoing:
    return Outgoing(Kind.REPORT, payload, digest(payload))


def test_nothing_is_taken_before_it_is_opened_and_after_it_is_shut() -> None:
    flight = Flight()
    assert not flight.offer(message(b"x"))
    flight.open(2)
    assert flight.offer(message(b"x"))
    flight.shut()
    assert not flight.offer(message(b"y"))
    assert (flight.room, flight.digests, flight.take()) == (0, frozenset(), [])


def test_bytes_are_bounded_but_one_message_always_goes() -> None:
    flight = Flight()
    flight.open(10)
    assert flight.offer(message(bytes(MAX_BYTES + 1)))
    assert not flight.offer(message(b"x"))
    flight.done(digest(bytes(MAX_BYTES + 1)))
    assert flight.offer(message(b"x"))


@given(st.lists(st.tuples(st.sampled_from(["offer", "take", "done"]), st.integers(0, 9))))
def test_each_is_taken_once_and_no_more_than_there_is_room(steps: list[tuple[str, int]]) -> None:
    flight, most = Flight(), 4
    flight.open(most)
    under_way: set[str] = set()
    fresh: list[str] = []
    for step, n in steps:
        one = message(b"%d" % n)
        if step == "offer":
            expected = one.digest in under_way or len(under_way) < most
            assert flight.offer(one) == expected
            if expected and one.digest not in under_way:
                under_way.add(one.digest)
                fresh.append(one.digest)
        elif step == "take":
            assert [each.digest for each in flight.take()] == fresh
            fresh = []
        elif one.digest not in fresh:
            flight.done(one.digest)
            under_way.discard(one.digest)
        assert flight.digests == under_way
        assert flight.room == most - len(under_way)
