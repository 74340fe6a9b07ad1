# SPDX-License-Identifier: Apache-2.0
"""The update protocol, story by story."""

import itertools

import pytest

from insight_edge.fleet.update.actions import (
    Action,
    ActivateSlot,
    CancelFetch,
    CommitSlot,
    FetchBundle,
    ReportState,
    RestoreSlot,
    StageBundle,
)
from insight_edge.fleet.update.events import (
    ActivationRefused,
    CommitFailed,
    Event,
    Fetched,
    FetchFailed,
    HealthSeen,
    Held,
    HostCame,
    HostLeft,
    ManifestAccepted,
    Released,
    Tick,
    Unwanted,
    Wanted,
)
from insight_edge.fleet.update.protocol import advance
from insight_edge.fleet.update.state import UpdateState, deployment_state, durable
from tests.fakes.update_world import POLICY, STEP_S, World, health


def device(**ways: str) -> World:
    """Return a device that has served bundle A for long, with its host attached."""
    world = World(ways=ways)
    world.want("A")
    world.settle(20)
    assert world.serving == "A" == world.state.committed
    world.done.clear()
    return world


def on_probation(**ways: str) -> World:
    world = device(**ways)
    world.want("B")
    for _ in range(3):
        world.finish()
    assert world.phase() == "probation"
    world.done.clear()
    return world


def acts(world: World) -> list[Action]:
    """Return what was asked for since the last look, reports left out."""
    done = [action for action in world.done if not isinstance(action, ReportState)]
    world.done.clear()
    return done


def test_update_goes_through_its_phases() -> None:
    world = device()
    world.want("B")
    assert world.phase() == "fetching"
    world.finish()
    assert world.phase() == "staging"
    world.finish()
    assert world.phase() == "activating"
    world.finish()
    assert (world.phase(), world.serving, world.state.committed) == ("probation", "B", "A")
    world.settle(10)
    assert (world.phase(), world.serving, world.state.committed) == ("idle", "B", "B")
    assert acts(world) == [
        FetchBundle("B"),
        StageBundle("B"),
        ActivateSlot("b"),
        CommitSlot("b"),
    ]
    assert world.state.decision.endswith("calls answered in 30 s")


def test_first_bundle_is_committed_at_once_and_is_on_probation_when_a_host_comes() -> None:
    world = World()
    world.want("A")
    world.finish()
    world.finish()
    assert acts(world) == [FetchBundle("A"), StageBundle("A"), CommitSlot("a")]
    world.finish()
    world.pass_time()
    assert (world.phase(), world.state.committed) == ("activating", "A")
    assert acts(world) == []
    world.start_host()
    assert (world.phase(), world.serving) == ("probation", "A")
    world.settle(10)
    assert acts(world) == [CommitSlot("a")]
    assert world.phase() == "idle"


def test_first_bundle_is_activated_where_the_host_is_there_already() -> None:
    world = World()
    world.start_host()
    world.want("A")
    for _ in range(4):
        world.finish()
    assert acts(world)[2:] == [CommitSlot("a"), ActivateSlot("a")]
    assert world.phase() == "probation"


def test_first_bundle_that_fails_stays_and_says_that_there_is_no_other() -> None:
    world = World(ways={"A": "failing"})
    world.want("A")
    world.settle(20)
    refusal = world.state.refusal
    assert refusal is not None
    assert refusal.reason == "50 of 200 calls failed; there is no earlier bundle to go back to"
    assert (world.serving, world.phase(), world.state.restored_from) == ("A", "idle", None)


def test_bundle_that_serves_and_is_committed_is_wanted_in_vain() -> None:
    world = device()
    assert world.want("A") == ()


@pytest.mark.parametrize("finished", [0, 1])
def test_another_bundle_supersedes_while_fetching_and_staging(finished: int) -> None:
    world = device()
    world.want("B")
    for _ in range(finished):
        world.finish()
    acts(world)
    world.want("C")
    assert acts(world) == [CancelFetch(), FetchBundle("C")]
    assert world.state.target is not None
    assert world.state.target.bundle == "C"


def test_another_bundle_waits_while_the_host_swaps_and_during_probation() -> None:
    world = device()
    world.want("B")
    world.finish()
    world.finish()
    acts(world)
    world.want("C")
    assert acts(world) == []
    world.finish()
    assert (world.phase(), acts(world)) == ("probation", [])
    world.settle(40)
    assert acts(world)[:2] == [CommitSlot("b"), FetchBundle("C")]
    assert world.serving == "C" == world.state.committed


def test_another_bundle_supersedes_one_that_waits_for_a_host() -> None:
    world = device()
    world.stop_host()
    world.want("B")
    world.finish()
    world.finish()
    assert world.phase() == "activating"
    acts(world)
    world.want("C")
    assert acts(world) == [FetchBundle("C")]


def test_after_long_absence_it_goes_straight_to_the_last_wanted() -> None:
    world = device()
    world.tell(Held())
    for name in ("B", "C", "D"):
        world.want(name)
    world.tell(Released())
    world.settle(30)
    assert [one for one in acts(world) if isinstance(one, FetchBundle)] == [FetchBundle("D")]
    assert world.serving == "D"


def test_earlier_bundle_wanted_during_probation_goes_back_at_once() -> None:
    world = on_probation()
    world.want("A")
    assert acts(world) == [RestoreSlot("a")]
    world.finish()
    assert (world.serving, world.phase(), world.state.refusal) == ("A", "idle", None)
    assert world.state.restored_from is None


def test_earlier_bundle_wanted_while_the_host_swaps_goes_back_after_it() -> None:
    world = device()
    world.want("B")
    world.finish()
    world.finish()
    world.want("A")
    acts(world)
    world.finish()
    assert acts(world) == [RestoreSlot("a")]


@pytest.mark.parametrize("finished", range(5))
def test_abort_in_every_state_ends_with_the_earlier_bundle(finished: int) -> None:
    world = device()
    world.want("B")
    for _ in range(finished):
        world.finish()
        world.see_health()
        world.pass_time(POLICY.probation_s / 2)
    world.want("A")
    world.settle(40)
    told = deployment_state(world.state)
    assert (told.phase, told.serving, told.committed) == ("idle", "A", "A")
    assert told.refusal is None


def test_unwanted_cancels_a_fetch_and_lets_a_probation_end() -> None:
    world = device()
    world.want("B")
    acts(world)
    world.tell(Unwanted())
    assert (acts(world), world.phase()) == ([CancelFetch()], "idle")
    world = on_probation()
    world.tell(Unwanted())
    world.settle(10)
    assert world.state.committed == "B"


def test_older_revision_is_not_listened_to() -> None:
    world = device()
    world.revision = 6
    world.want("B")
    state = world.state
    assert world.tell(Wanted("C", 7)) == world.tell(Wanted("C", 3)) == ()
    assert world.state == state


def test_held_begins_nothing_and_finishes_what_was_begun() -> None:
    world = device()
    world.want("B")
    world.tell(Held())
    world.settle(20)
    assert world.state.committed == "B"
    acts(world)
    world.want("C")
    world.settle(20)
    assert acts(world) == []
    world.tell(Released())
    assert acts(world) == [FetchBundle("C")]


def test_fetch_trouble_is_tried_again_with_growing_pauses_and_without_end() -> None:
    world = device()
    world.want("B")
    begun_s: list[float] = []
    while len(begun_s) < 8:
        begun_s.append(world.now_s)
        world.finish(well=False)
        assert world.under_way is None
        while world.under_way is None:
            world.pass_time(1.0)
    pauses = [later - sooner for sooner, later in itertools.pairwise(begun_s)]
    assert pauses == [10, 20, 40, 80, 80, 80, 80]
    assert world.state.refusal is not None
    assert (world.state.refusal.kind, world.state.refusal.phase) == ("DownloadError", "fetching")
    world.settle(20)
    assert world.state.committed == "B"
    assert world.state.refusal is None


def test_pauses_start_small_again_where_much_was_fetched() -> None:
    world = device()
    world.want("B")
    for gained_bytes, pause_s in ((0, 10), (0, 20), (POLICY.gain_bytes, 10), (0, 20)):
        world.under_way = None
        world.tell(FetchFailed("B", "DownloadError", "", False, gained_bytes))
        assert world.state.retry_at_s == world.now_s + pause_s
        world.pass_time(pause_s)


@pytest.mark.parametrize("jump_s", [-3.2e8, 3.2e8])
def test_clock_that_jumps_by_years_neither_stops_nor_hastens(jump_s: float) -> None:
    world = device()
    world.want("B")
    world.finish(well=False)
    world.pass_time(jump_s)
    world.pass_time(90.0)
    for _ in range(3):
        world.finish()
    world.see_health()
    assert world.phase() == "probation"
    world.pass_time(jump_s)
    assert world.phase() == "probation"
    world.settle(15)
    assert world.state.committed == "B"


def test_higher_revision_of_the_same_bundle_tries_at_once() -> None:
    world = device()
    world.want("B")
    world.finish(well=False)
    acts(world)
    world.want("B")
    assert acts(world) == [FetchBundle("B")]


@pytest.mark.parametrize(
    ("way", "kind", "phase", "restored_from"),
    [
        ("unfetchable", "TamperedError", "fetching", None),
        ("unloadable", "SelfCheckError", "activating", None),
        ("crashing", "HostError", "activating", None),
        ("failing", "UpdateError", "probation", "B"),
        ("slow", "UpdateError", "probation", "B"),
    ],
)
def test_bad_bundle_is_refused_with_its_phase_and_tried_at_a_higher_revision_alone(
    way: str, kind: str, phase: str, restored_from: str | None
) -> None:
    world = device(B=way)
    world.want("B")
    world.settle(40)
    told = deployment_state(world.state)
    assert told.refusal is not None
    assert (told.refusal.kind, told.refusal.phase, told.refusal.bundle) == (kind, phase, "B")
    assert (told.serving, told.committed, told.target) == ("A", "A", None)
    assert told.restored_from == restored_from
    acts(world)
    world.tell(Wanted("B", world.revision))
    world.settle(20)
    assert acts(world) == []
    world.ways.clear()
    world.want("B")
    world.settle(40)
    told = deployment_state(world.state)
    assert (told.serving, told.committed, told.refusal, told.restored_from) == (
        "B",
        "B",
        None,
        None,
    )


def test_good_bundle_after_a_bad_one_is_not_held_up() -> None:
    world = device(B="slow")
    world.want("B")
    for _ in range(3):
        world.finish()
    world.want("C")
    world.settle(60)
    assert world.serving == "C" == world.state.committed


def test_host_that_restarts_during_probation_is_asked_to_swap_again() -> None:
    world = on_probation()
    for _ in range(2):
        world.stop_host()
        world.start_host()
        assert (world.phase(), world.serving) == ("activating", "A")
        assert acts(world) == [ActivateSlot("b")]
        world.finish()
        assert (world.phase(), world.serving) == ("probation", "B")
    world.stop_host()
    assert world.phase() == "idle"
    world.start_host()
    assert acts(world) == []
    assert (world.phase(), world.serving, world.state.restored_from) == ("idle", "A", "B")
    assert world.state.refusal is not None
    assert world.state.refusal.kind == "HostError"


def test_host_whose_connection_alone_was_lost_for_the_third_time_goes_back() -> None:
    world = on_probation()
    for _ in range(3):
        world.hang_up()
    assert acts(world) == [RestoreSlot("a")]
    world.finish()
    assert world.serving == "A"


def test_window_that_goes_on_behind_a_lost_connection_is_not_counted_twice() -> None:
    world = on_probation()
    world.see_health()
    world.hang_up()
    world.see_health()
    assert world.state.probation is not None
    assert world.state.probation.asked == 200


def test_probation_does_not_go_on_without_a_host() -> None:
    world = on_probation()
    world.stop_host()
    for _ in range(100):
        world.pass_time()
    assert world.phase() == "probation"
    assert deployment_state(world.state).probation_ends_s is None


def test_host_is_lost_once_however_often_it_is_told() -> None:
    world = on_probation()
    world.stop_host()
    for _ in range(5):
        world.tell(HostLeft())
    assert (world.phase(), world.state.losses) == ("probation", 1)


def test_host_that_serves_the_earlier_bundle_again_without_a_word_is_no_loop() -> None:
    world = on_probation()
    for _ in range(POLICY.most_losses - 1):
        world.serving = "A"
        world.see_health()
        assert acts(world) == [ActivateSlot("b")]
        world.finish()
    world.serving = "A"
    world.see_health()
    assert acts(world) == []
    assert world.phase() == "idle"


def test_health_of_a_host_that_has_left_says_nothing() -> None:
    world = on_probation()
    world.stop_host()
    state = world.state
    assert world.tell(HealthSeen(health("B", failed=100))) == ()
    assert world.state == state


def test_slot_that_could_not_be_filled_is_tried_again_from_the_fetch_on() -> None:
    world = device()
    world.want("B")
    world.finish()
    world.finish(well=False)
    assert world.phase() == "fetching"
    assert world.state.refusal is not None
    assert (world.state.refusal.kind, world.state.refusal.phase) == ("StorageError", "staging")
    acts(world)
    world.pass_time(10.0)
    assert acts(world) == [FetchBundle("B")]


def test_first_bundle_that_does_not_load_is_not_asked_for_again() -> None:
    world = World(ways={"A": "unloadable"})
    world.start_host()
    world.want("A")
    world.settle(20)
    assert acts(world)[2:] == [CommitSlot("a"), ActivateSlot("a")]
    assert world.state.refusal is not None
    assert world.state.refusal.kind == "SelfCheckError"


def test_few_requests_are_committed_in_the_end_and_the_reason_says_so() -> None:
    world = on_probation()
    for _ in range(60):
        world.tell(HealthSeen(health("B", asked=3)))
        world.pass_time()
    assert acts(world) == [CommitSlot("b")]
    assert world.state.decision == "too few requests to judge: 3 in 300 s"


def test_commit_that_cannot_be_written_is_tried_again_and_nothing_else_is_done() -> None:
    world = on_probation()
    world.see_health()
    for _ in range(6):
        world.pass_time()
    assert acts(world) == [CommitSlot("b")]
    world.finish(well=False)
    assert world.phase() == "probation"
    assert world.state.refusal is not None
    assert world.state.refusal.kind == "StorageError"
    world.pass_time(10.0)
    assert acts(world) == [CommitSlot("b")]
    world.finish()
    assert (world.phase(), world.state.committed, deployment_state(world.state).refusal) == (
        "idle",
        "B",
        None,
    )


def test_restore_that_is_refused_ends_and_both_reasons_are_told() -> None:
    world = on_probation(B="failing")
    world.ways["A"] = "unloadable"
    world.see_health()
    assert acts(world) == [RestoreSlot("a")]
    world.finish()
    refusal = world.state.refusal
    assert refusal is not None
    assert refusal.reason == (
        "50 of 200 calls failed; going back was refused: verify: golden samples disagree"
    )
    assert (world.serving, world.phase()) == ("B", "idle")
    world.pass_time(1000.0)
    assert acts(world) == []


def test_host_that_serves_another_bundle_is_brought_back_once() -> None:
    world = device()
    world.ways["A"], world.slots["b"] = "unloadable", "old"
    world.stop_host()
    world.start_host()
    assert (world.serving, acts(world)) == ("old", [RestoreSlot("a")])
    world.finish()
    world.settle(20)
    assert acts(world) == []
    assert world.state.refusal is not None
    assert world.state.refusal.bundle == "A"


def test_another_swap_of_the_host_is_waited_for() -> None:
    world = device()
    world.want("B")
    world.finish()
    world.finish()
    world.finish(well=False)
    assert world.phase() == "activating"
    acts(world)
    world.pass_time(10.0)
    assert acts(world) == [ActivateSlot("b")]


def test_expired_revision_begins_nothing_until_another_comes() -> None:
    world = device()
    world.tell(Held())
    world.revision = 2
    world.tell(Wanted("B", 2, expires_s=world.now_s + 50))
    world.pass_time(100.0)
    world.tell(Released())
    world.settle(20)
    assert acts(world) == []
    assert world.state.refusal is not None
    assert world.state.refusal.kind == "ExpiredError"
    world.want("B")
    assert acts(world) == [FetchBundle("B")]


@pytest.mark.parametrize("finished", range(4))
def test_agent_killed_in_any_phase_asks_again_for_what_it_was_about(finished: int) -> None:
    world = device()
    world.want("B")
    for _ in range(finished):
        world.finish()
    asked = world.under_way
    acts(world)
    world.restart_agent()
    assert acts(world) == ([] if asked is None else [asked])
    world.settle(20)
    assert world.state.committed == "B"


@pytest.mark.parametrize("finished", range(5))
def test_agent_killed_before_it_could_note_what_it_did_goes_on(finished: int) -> None:
    world = device()
    world.want("B")
    for _ in range(finished):
        world.finish()
        world.see_health()
        world.pass_time(POLICY.probation_s)
    world.finish_unheard()
    world.settle(20)
    assert (world.serving, world.state.committed, world.phase()) == ("B", "B", "idle")


def test_agent_killed_between_the_commit_and_its_news_finds_it_on_the_disk() -> None:
    world = on_probation()
    world.see_health()
    for _ in range(6):
        world.pass_time()
    assert acts(world) == [CommitSlot("b")]
    world.committed = "b"
    world.restart_agent()
    assert acts(world) == []
    assert (world.phase(), world.state.committed) == ("idle", "B")


def test_agent_that_finds_its_slot_gone_begins_again() -> None:
    world = device()
    world.stop_host()
    world.want("B")
    world.finish()
    world.finish()
    del world.slots["b"]
    acts(world)
    world.restart_agent()
    assert acts(world) == [FetchBundle("B")]


def test_agent_without_a_journal_believes_the_slots() -> None:
    world = on_probation()
    world.written = UpdateState()
    world.restart_agent()
    assert world.state.committed == "A"
    assert acts(world) == [RestoreSlot("a")]


def test_fetched_is_not_believed_before_the_manifest_was_accepted() -> None:
    world = device()
    world.want("B")
    world.tell(Fetched("B"))
    assert world.phase() == "fetching"
    world.tell(ManifestAccepted("B"))
    world.restart_agent()
    world.tell(Fetched("B"))
    assert world.phase() == "fetching"
    world.finish()
    assert world.phase() == "staging"


def test_state_is_reported_when_it_changes_and_only_then() -> None:
    world = device()
    assert world.want("B") == (FetchBundle("B"), ReportState())
    assert world.tell(Tick()) == ()
    assert world.tell(HostLeft()) == (ReportState(),)
    assert world.tell(HostLeft()) == ()
    assert world.tell(HostCame("A")) == (ReportState(),)


def test_probation_end_is_told_by_the_devices_clock() -> None:
    world = on_probation()
    assert deployment_state(world.state, policy=POLICY).probation_ends_s == world.now_s + 30
    begun_s = world.now_s
    world.pass_time()
    assert deployment_state(world.state, policy=POLICY).probation_ends_s == begun_s + 30


def test_heartbeats_do_not_reach_the_journal() -> None:
    world = device()
    kept = durable(world.state)
    world.see_health()
    world.pass_time()
    world.stop_host()
    assert durable(world.state) == kept
    world = on_probation()
    kept, changes = durable(world.state), 0
    for _ in range(4):
        world.see_health()
        world.pass_time(STEP_S)
        changes += durable(world.state) != kept
        kept = durable(world.state)
    assert changes == 2


@pytest.mark.parametrize("event", [CommitFailed("E", ""), ActivationRefused("flip", "E", "")])
def test_answer_that_nobody_waits_for_is_not_listened_to(event: Event) -> None:
    world = device()
    state = world.state
    assert world.tell(event) == ()
    assert world.state == state


def test_what_is_no_event_is_a_programmers_mistake() -> None:
    with pytest.raises(TypeError, match="Event is no event"):
        advance(UpdateState(), Event(), 0.0)
