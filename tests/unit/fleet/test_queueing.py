# SPDX-License-Identifier: Apache-2.0
"""Who goes next, who gives way, and how long to wait."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.topics import UP, Kind
from insight_edge.fleet.link.queueing import (
    FIRST_PAUSE_S,
    KEPT,
    LONGEST_PAUSE_S,
    give_way,
    in_turn,
    pause_s,
    room_bytes,
)

kinds = st.sampled_from(KEPT)
waiting = st.dictionaries(kinds, st.lists(st.integers(), max_size=12))


def test_kept_are_all_but_those_whose_next_says_more() -> None:
    assert set(KEPT) == UP - {Kind.BIRTH, Kind.DEATH, Kind.REPORTED}


def test_many_tiny_messages_take_more_room_than_their_bytes() -> None:
    assert room_bytes(100, 100) > 10_000


@given(st.dictionaries(kinds, st.integers(0, 1000)), kinds, st.integers(1, 500))
def test_nothing_gives_way_where_there_is_room(
    taken: dict[Kind, int], arriving: Kind, needed: int
) -> None:
    assert give_way(taken, arriving, needed, sum(taken.values()) + needed) == {}


@given(
    st.dictionaries(kinds, st.integers(0, 1000)),
    kinds,
    st.integers(1, 500),
    st.integers(0, 3000),
)
def test_just_enough_gives_way_and_what_is_worth_least_first(
    taken: dict[Kind, int], arriving: Kind, needed: int, most: int
) -> None:
    leaving = give_way(taken, arriving, needed, most)
    worth = KEPT.index(arriving)
    worth_no_more = sum(taken.get(kind, 0) for kind in KEPT[: worth + 1])
    missing = sum(taken.values()) + needed - most
    if leaving is None:
        assert missing > worth_no_more
        return
    assert sum(leaving.values()) == max(missing, 0)
    assert all(KEPT.index(kind) <= worth for kind in leaving)
    assert all(0 <= gone <= taken.get(kind, 0) for kind, gone in leaving.items())
    touched = [kind for kind in KEPT if leaving.get(kind)]
    for kind in touched[:-1]:
        assert leaving[kind] == taken[kind]


def test_a_prediction_never_drives_out_a_report() -> None:
    assert give_way({Kind.REPORT: 100}, Kind.PREDICTION, 10, 100) is None
    assert give_way({Kind.PREDICTION: 100}, Kind.REPORT, 10, 100) == {Kind.PREDICTION: 10}


@given(waiting, st.none() | kinds, st.integers(0, 30))
def test_turns_keep_order_lose_nothing_and_are_even(
    found: dict[Kind, list[int]], last: Kind | None, limit: int
) -> None:
    turns = in_turn(found, last, limit)
    assert len(turns) == min(limit, sum(map(len, found.values())))
    taken = Counter(kind for kind, _ in turns)
    for kind, items in found.items():
        mine = [item for one, item in turns if one is kind]
        assert mine == items[: len(mine)]
        for other in taken:  # one that still waits has had as many turns, but for the last round
            assert len(mine) == len(items) or taken[other] <= len(mine) + 1


def test_the_next_kind_begins_where_only_one_may_go() -> None:
    found = {kind: list(range(9)) for kind in KEPT}
    last: Kind | None = None
    served = []
    for _ in range(2 * len(KEPT)):
        ((last, _),) = in_turn(found, last, 1)
        served.append(last)
    assert served == [*KEPT, *KEPT]


@given(st.integers(1, 10_000), st.floats(0.0, 1.0))
def test_pauses_grow_to_a_bound_and_are_never_nothing(attempts: int, share: float) -> None:
    assert FIRST_PAUSE_S / 2 <= pause_s(attempts, share) <= LONGEST_PAUSE_S
    assert pause_s(attempts, share) <= pause_s(attempts + 1, share)
    assert pause_s(attempts, 0.0) <= pause_s(attempts, share)


def test_pauses_double() -> None:
    assert [pause_s(n, 1.0) for n in (1, 2, 3)] == [15.0, 30.0, 60.0]
    assert pause_s(7, 1.0) == LONGEST_PAUSE_S
