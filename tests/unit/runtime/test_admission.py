# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.runtime.admission import (
    Resident,
    admit,
    free_bytes,
    refusal,
    restorable,
    threads_each,
)

SIZES = st.integers(0, 40)


@st.composite
def households(draw: st.DrawFn) -> tuple[Resident, ...]:
    sizes = draw(st.lists(st.tuples(SIZES, st.integers(-2, 2)), max_size=7))
    turns = draw(st.permutations(range(len(sizes))))
    return tuple(
        Resident(f"m{turn}", priority, size, turn)
        for turn, (size, priority) in zip(turns, sizes, strict=True)
    )


WANTED = st.builds(Resident, st.just("new"), st.integers(-2, 2), SIZES, st.just(99))
FREE = st.integers(-10, 60)


@given(WANTED, households(), FREE, st.booleans())
def test_room_is_never_given_away_twice(
    wanted: Resident, resident: tuple[Resident, ...], free: int, evicting: bool
) -> None:
    came = admit(wanted, resident, free, evicting=evicting)
    freed = sum(each.need_bytes for each in resident if each.name in came.evicted)
    if came.admitted:
        assert wanted.need_bytes <= free + freed
    else:
        lower = [each for each in resident if each.priority < wanted.priority]
        most = free + sum(each.need_bytes for each in lower) * evicting
        assert came.evicted == ()
        assert wanted.need_bytes > most


@given(WANTED, households(), FREE, st.booleans(), st.randoms())
def test_only_lower_priorities_leave_none_in_vain_whatever_the_order(
    wanted: Resident, resident: tuple[Resident, ...], free: int, evicting: bool, random: object
) -> None:
    came = admit(wanted, resident, free, evicting=evicting)
    left = {each.name: each for each in resident if each.name in came.evicted}
    assert evicting or not left
    assert all(each.priority < wanted.priority for each in left.values())
    freed = sum(each.need_bytes for each in left.values())
    for each in left.values():
        assert wanted.need_bytes > free + freed - each.need_bytes
    ranks = [(left[name].priority, -left[name].turn) for name in came.evicted]
    assert ranks == sorted(ranks)
    shuffled = list(resident)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert admit(wanted, shuffled, free, evicting=evicting) == came


@given(households(), FREE)
def test_who_waits_comes_back_by_priority_and_within_what_is_free(
    waiting: tuple[Resident, ...], free: int
) -> None:
    first = restorable(waiting, free)
    best = min(waiting, key=lambda one: (-one.priority, one.turn), default=None)
    assert first == (best if best is not None and best.need_bytes <= free else None)


@given(st.integers(0, 100), st.integers(0, 20), st.none() | st.integers(0, 100), households())
def test_budget_counts_what_is_loaded_and_the_reserve_is_nobodys(
    available: int, reserve: int, budget: int | None, resident: tuple[Resident, ...]
) -> None:
    free = free_bytes(available, reserve, budget, resident)
    assert free <= available - reserve
    if budget is not None:
        assert free + sum(each.need_bytes for each in resident) <= budget


def test_the_one_that_came_last_leaves_first_of_equals() -> None:
    old, new = Resident("old", 0, 10, 1), Resident("new", 0, 10, 2)
    wanted = Resident("wanted", 1, 10, 3)
    assert admit(wanted, (old, new), 0, evicting=True).evicted == ("new",)


def test_a_small_one_is_spared_where_a_larger_one_has_to_leave_anyway() -> None:
    small, large = Resident("small", 0, 1, 1), Resident("large", 1, 10, 2)
    wanted = Resident("wanted", 2, 10, 3)
    assert admit(wanted, (small, large), 0, evicting=True).evicted == ("large",)


def test_refusal_is_a_line_with_both_figures() -> None:
    wanted = Resident("door", 1, 96 * 2**20, 3)
    assert refusal(wanted, 2**20, ()) == "'door' needs 96.0 MiB, 1.0 are free"
    lower = Resident("count", 0, 2**20, 1)
    assert refusal(wanted, -1, (lower,)) == (
        "'door' needs 96.0 MiB, 0.0 are free, and would not be enough without 'count' either"
    )


@given(st.integers(1, 64), st.integers(1, 64))
def test_engines_together_have_no_more_threads_than_can_run(usable: int, at_once: int) -> None:
    each = threads_each(usable, at_once)
    assert each >= 1
    assert each * min(at_once, usable) <= usable
