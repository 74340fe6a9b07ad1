# SPDX-License-Identifier: Apache-2.0
"""Batches between two threads: order, bounds, and receipts that are good for one connection."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.platform.inbox import Batch, Inbox
from insight_edge.documents.topics import Kind, Topic

TOPIC = Topic("default", "press-1", Kind.REPORT)


def full(messages: int, *, most: int = 100, max_bytes: int = 10_000) -> Inbox:
    inbox = Inbox(most, max_bytes)
    inbox.renew()
    for n in range(messages):
        inbox.put(n + 1, TOPIC, b"%d" % n)
    return inbox


def test_batch_is_what_is_there_and_no_more_than_asked_for() -> None:
    inbox = full(5)
    assert [one.payload for one in inbox.take(3, 0.0)] == [b"0", b"1", b"2"]
    assert [one.payload for one in inbox.take(3, 0.0)] == [b"3", b"4"]


def test_first_message_of_a_batch_waits_for_others() -> None:
    inbox = full(1)

    def come() -> None:
        for n in (2, 3):
            inbox.put(n, TOPIC, b"x")

    later = threading.Timer(0.01, come)
    later.start()
    assert len(inbox.take(3, 10.0)) == 3
    later.join()


def test_taking_waits_for_a_message_and_close_lets_it_go() -> None:
    inbox = full(0)
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.append(len(inbox.take(3, 0.0))))
    thread.start()
    inbox.close()
    thread.join()
    assert taken == [0]
    assert full(5).take(2, 0.0)


def test_nothing_is_handed_out_after_close() -> None:
    inbox = full(5)
    inbox.close()
    assert inbox.take(3, 10.0) == ()


def test_room_is_bounded_by_number_and_by_bytes() -> None:
    assert full(9, most=10).has_room
    assert not full(10, most=10).has_room
    assert not full(10, max_bytes=10).has_room
    inbox = full(10, most=10)
    inbox.take(1, 0.0)
    assert inbox.has_room


def test_receipts_are_given_back_once_in_order_and_not_after_the_connection() -> None:
    inbox = full(4)
    first, second = inbox.take(2, 0.0), inbox.take(2, 0.0)
    inbox.give_back(first)
    assert inbox.receipts() == [1, 2]
    assert inbox.receipts() == []
    inbox.give_back(second)
    inbox.renew()
    inbox.put(1, TOPIC, b"of the new connection")
    assert inbox.receipts() == []
    inbox.give_back(second)
    assert inbox.receipts() == []


def test_batch_leaves_out_what_is_none_of_ours_and_settles_it_too() -> None:
    inbox = full(1)
    inbox.put(2, None, b"")
    inbox.put(0, TOPIC, b"wants no receipt")
    batch = Batch(inbox.take(9, 0.0), inbox.give_back)
    assert batch.messages == ((TOPIC, b"0"), (TOPIC, b"wants no receipt"))
    batch.acknowledge()
    batch.acknowledge()
    assert batch.acknowledged
    assert inbox.receipts() == [1, 2]


STEPS = st.tuples(st.sampled_from(["put", "take", "settle", "renew"]), st.integers(0, 1))


@given(st.lists(STEPS))
def test_no_receipt_is_given_back_twice_or_to_another_connection(
    steps: list[tuple[str, int]],
) -> None:
    """What is put says by which line and connection, and with which receipt it came."""
    inbox, connections, receipt, waiting = Inbox(10_000), [0, 0], 0, 0
    for line in (0, 1):
        inbox.renew(line)
    taken: list[Batch] = []
    for step, line in steps:
        if step == "renew":
            connections[line] += 1
            inbox.renew(line)
        elif step == "put":
            receipt += 1
            inbox.put(receipt, TOPIC, b"%d %d %d" % (line, connections[line], receipt), line)
            waiting += 1
        elif step == "take" and waiting:
            batch = Batch(inbox.take(3, 0.0), inbox.give_back)
            waiting -= len(batch.messages)
            taken.append(batch)
        elif step == "settle" and taken:
            batch = taken.pop(0)
            batch.acknowledge()
            came = [tuple(map(int, payload.split())) for _, payload in batch.messages]
            for each in (0, 1):
                mine = [r for at, of, r in came if (at, of) == (each, connections[each])]
                assert inbox.receipts(each) == mine
                assert inbox.receipts(each) == []
