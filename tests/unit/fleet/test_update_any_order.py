# SPDX-License-Identifier: Apache-2.0
"""Whatever happens in whatever order: one thing at a time, and the right bundle in the end."""

from collections.abc import Callable

import hypothesis.strategies as st
from hypothesis import given, settings

from insight_edge.fleet.update.actions import ReportState
from insight_edge.fleet.update.events import (
    Activated,
    ActivationRefused,
    Committed,
    Fetched,
    FetchFailed,
    Held,
    ManifestAccepted,
    Released,
    Staged,
    StageFailed,
    Unwanted,
)
from tests.fakes.update_world import World, swap

BUNDLES = ("A", "B", "C", "bad")
YEARS_S = 10 * 365 * 86_400.0

Move = Callable[[World], object]

quiet: list[Move] = [
    World.start_host,
    World.stop_host,
    World.hang_up,
    World.restart_agent,
    World.see_health,
    World.pass_time,
    World.finish,
    lambda world: world.finish(well=False),
    lambda world: world.finish(twice=True),
    World.finish_unheard,
    lambda world: world.pass_time(100.0),
    lambda world: world.pass_time(YEARS_S),
    lambda world: world.pass_time(-YEARS_S),
    lambda world: world.tell(Held()),
    lambda world: world.tell(Released()),
    lambda world: world.tell(Unwanted()),
]
stale: list[Move] = [
    lambda world: world.tell(ManifestAccepted("B")),
    lambda world: world.tell(Fetched("stale")),
    lambda world: world.tell(FetchFailed("stale", "TamperedError", "", final=True)),
    lambda world: world.tell(Staged("stale", "a")),
    lambda world: world.tell(StageFailed("stale", "StorageError", "")),
]
wishes: list[Move] = [lambda world, name=name: world.want(name) for name in BUNDLES]  # type: ignore[misc]
finishing: list[Move] = [World.finish, World.see_health, World.pass_time] * 3

moves = st.lists(st.sampled_from([*quiet, *stale, *wishes, *finishing]), max_size=60)
ways = st.sampled_from(["unfetchable", "unloadable", "crashing", "failing", "slow"])


def played(happened: list[Move], way: str) -> World:
    world = World(ways={"bad": way})
    for move in happened:
        move(world)
        committed = world.committed
        assert committed is None or committed in world.slots
    return world


def is_at_rest(world: World) -> bool:
    """Return whether nothing is done any more, however long one waits."""
    before = len(world.done)
    world.settle(50)
    return not [one for one in world.done[before:] if not isinstance(one, ReportState)]


@settings(max_examples=300)
@given(moves, ways)
def test_wanted_bundle_serves_and_is_committed_once_the_world_behaves(
    happened: list[Move], way: str
) -> None:
    world = played(happened, way)
    world.tell(Released())
    world.want("Z")
    world.settle()
    state = world.state
    assert world.serving == "Z" == state.serving == state.committed
    assert world.committed is not None
    assert world.slots[world.committed] == "Z"
    assert (state.phase, state.refusal, state.refused) == ("idle", None, None)
    assert is_at_rest(world)


@settings(max_examples=300)
@given(moves, ways)
def test_bad_bundle_leaves_the_old_one_and_is_not_tried_again(
    happened: list[Move], way: str
) -> None:
    world = played(happened, way)
    world.tell(Released())
    world.want("Z")
    world.settle()
    world.want("bad")
    world.settle()
    state = world.state
    assert world.serving == "Z" == state.serving == state.committed
    assert state.phase == "idle"
    assert state.refusal is not None
    assert state.refusal.bundle == "bad"
    assert is_at_rest(world)


@settings(max_examples=100)
@given(moves, ways)
def test_bad_bundle_on_an_empty_device_is_no_loop(happened: list[Move], way: str) -> None:
    world = played(happened, way)
    world.tell(Released())
    world.want("bad")
    world.settle()
    assert is_at_rest(world)
    world.want("Z")
    world.settle()
    assert world.serving == "Z"


@settings(max_examples=100)
@given(moves)
def test_answers_that_nobody_waits_for_change_nothing(happened: list[Move]) -> None:
    world = played(happened, "slow")
    state = world.state
    if state.doing is None:
        for event in (
            Activated(swap(None, "A")),
            ActivationRefused("verify", "SelfCheckError", ""),
            Committed("a"),
        ):
            world.tell(event)
            assert world.state == state or world.state.doing is not None
