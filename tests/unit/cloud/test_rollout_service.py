# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from insight_cloud.devices.selection import Selection
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import State
from insight_edge.documents.desired import Assignment
from insight_edge.documents.profile import Figure
from insight_edge.errors import ConfigurationError, DocumentError
from tests.fakes.rollout_world import DEPLOYMENT, MODEL, PLAN, World, make_world, open_world


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rollout") / "template"
    make_world(folder)
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Iterator[World]:
    with open_world(template, tmp_path / "world") as world:
        yield world


def asked(world: World, rollout: int) -> list[str]:
    return [name for name, state in world.states(rollout).items() if state == "asked"]


def serve(world: World, rollout: int, **counted: float) -> None:
    """Let every device that was asked commit, and serve enough."""
    for name in asked(world, rollout):
        world.take(name)
        world.count(name, 200, **counted)  # type: ignore[arg-type]


def standing(world: World, rollout: int) -> tuple[State, int]:
    found = world.rollouts.get(rollout)
    return found.state, found.wave


def decided(world: World, rollout: int) -> list[str]:
    return [one.decision for one in reversed(world.rollouts.decisions(rollout))]


def actions(world: World) -> list[str]:
    with world.database.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT action FROM accounts_audit WHERE action LIKE 'rollout.%' ORDER BY at, id"
        )
        return [row[0] for row in rows]


# Forward.


def test_a_rollout_goes_in_waves_and_completes(world: World) -> None:
    names = [f"cam-{number:02}" for number in range(8)]
    world.add(*names)
    started = world.start()
    assert (started.state, started.waves, started.label) == (State.PENDING, 3, "digits:2")
    assert {world.wanted(name) for name in names} == {world.bundle(1)}
    sizes = []
    for _ in range(3):
        world.run()
        sizes.append(len(asked(world, started.id)))
        serve(world, started.id)
        world.run()
        assert "soaking until" in world.rollouts.get(started.id).reason
        world.run(1, seconds=61)
    assert sizes == [1, 1, 6]
    assert standing(world, started.id) == (State.COMPLETED, 2)
    assert {world.wanted(name) for name in names} == {world.bundle(2)}
    expected = ["start", "begin", "advance", "advance", "complete"]
    assert decided(world, started.id) == expected
    assert actions(world) == [f"rollout.{one}" for one in expected]
    assert all(world.rollouts.why_not(name, DEPLOYMENT) is None for name in names)
    world.run(3)
    assert decided(world, started.id) == expected


def test_every_decision_keeps_the_figures_that_it_was_taken_on(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    serve(world, one.id)
    world.run(2, seconds=61)
    newest = world.rollouts.decisions(one.id)[0]
    assert (newest.decision, newest.by, newest.wave) == ("complete", "worker", 0)
    group = newest.figures["groups"][0]
    assert (group["members"], len(group["commits"]), group["new"]["asked"]) == (1, 1, 200)
    assert newest.reason == (
        "wave 1 of 1: 1 of 1 committed it, 200 calls, no gate speaks against it"
    )


def test_the_bundle_is_that_of_the_devices_own_profile(world: World) -> None:
    world.add("cam-1")
    world.add("cam-2", profile="lab")
    world.start(plan=Plan(canary="100%"))
    world.run()
    assert world.wanted("cam-1") == world.bundle(2, "box")
    assert world.wanted("cam-2") == world.bundle(2, "lab")


def test_a_device_without_a_bundle_is_listed_with_its_reason(world: World) -> None:
    world.add("cam-1")
    world.add("cam-2", profile="lab")
    world.releases.revoke(world.bundle(2, "lab"), by="ann", now=world.now)
    one = world.start()
    unfit = world.rollouts.members(one.id)[-1]
    assert (unfit.device, unfit.state, unfit.wave) == ("cam-2", "unfit", None)
    assert unfit.note == "no bundle of digits:2 for lab"
    said = "Rollout 1 of digits:2 has nothing for it: no bundle of digits:2 for lab."
    assert world.rollouts.why_not("cam-2", DEPLOYMENT) == said
    world.run()
    assert world.wanted("cam-2") == world.bundle(1, "lab")


def test_a_device_whose_hardware_has_changed_is_not_asked(world: World) -> None:
    world.add("cam-1", "cam-2")
    one = world.start(plan=Plan(canary="100%", soak_s=1, deadline_s=60))
    box = world.profiles["box"]
    cpu = msgspec.structs.replace(box.cpu, cores=Figure(value=64, source="s"))
    world.profiles["box"] = msgspec.structs.replace(box, cpu=cpu)
    world.run()
    members = world.rollouts.members(one.id)
    assert {m.state.value for m in members} == {"unfit"}
    assert members[0].note == (
        "its hardware has changed: the profile box has 64 cores, this machine has 2"
    )


def test_who_enrols_during_a_rollout_joins_its_last_wave(world: World) -> None:
    world.add("cam-1", "cam-2")
    one = world.start()
    world.run()
    world.add("cam-3")
    world.run()
    joined = next(m for m in world.rollouts.members(one.id) if m.device == "cam-3")
    assert (joined.state, joined.wave) == ("waiting", 1)
    serve(world, one.id)
    world.run(3, seconds=61)
    assert set(asked(world, one.id)) == {"cam-1", "cam-2", "cam-3"} - {
        m.device for m in world.rollouts.members(one.id) if m.wave == 0
    }


def test_only_the_devices_that_are_named_take_part(world: World) -> None:
    world.add("cam-1", "cam-2", "cam-3")
    one = world.start(selection=Selection(devices=("cam-2",)))
    world.add("cam-4")
    world.run(2)
    assert world.states(one.id) == {"cam-2": "asked"}


def test_a_selection_by_name_takes_later_ones_in(world: World) -> None:
    world.add("cam-1", "press-1")
    one = world.start(selection=Selection(text="press"))
    world.add("press-2", "cam-2")
    world.run(2)
    assert set(world.states(one.id)) == {"press-1", "press-2"}


def test_an_alias_names_a_version(world: World) -> None:
    world.add("cam-1")
    with pytest.raises(NotFoundError, match="no alias 'production'"):
        world.start("production")
    assert world.start("2").version == 2


# Refused at the start.


def test_what_cannot_be_started_is_refused_in_one_line(world: World) -> None:
    with pytest.raises(NotFoundError, match="no device that is meant has a deployment"):
        world.start()
    world.add("cam-1")
    with pytest.raises(NotFoundError, match="no bundle of digits:9 is listed"):
        world.start(9)
    with pytest.raises(NotFoundError, match="there is no device 'cam-9'"):
        world.start(selection=Selection(devices=("cam-9",)))
    with pytest.raises(ConfigurationError, match="the last wave is 50%"):
        world.start(plan=Plan(waves=("50%",)))
    world.profiles.clear()
    with pytest.raises(NotFoundError, match="cam-1: this installation knows no profile 'box'"):
        world.start()
    assert world.rollouts.list() == ()


def test_one_rollout_of_a_model_to_a_deployment_goes_on_at_a_time(world: World) -> None:
    world.add("cam-1")
    first = world.start()
    with pytest.raises(ConflictError, match="rollout 1 brings digits:2 to 'camera-1'"):
        world.start(3)
    world.rollouts.abort(first.id, by="ann", now=world.now)
    second = world.start(3)
    with pytest.raises(ConflictError, match="rollout 2 brings digits:3"):
        world.rollouts.roll_back(first.id, by="ann", now=world.now)
    assert [one.id for one in world.rollouts.list()] == [2, 1]
    assert [one.id for one in world.rollouts.list(active=True)] == [second.id]
    assert [one.id for one in world.rollouts.list(active=False)] == [first.id]


# Back, by evidence.


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (World.refuse, "refused: SelfCheckError while activating: verify: the golden samples"),
        (World.give_up, "given up in its probation: UpdateError while probation: 30 of 100 calls"),
    ],
)
def test_a_canary_that_does_not_keep_it_brings_all_back(
    world: World, fails: type, words: str
) -> None:
    world.add("cam-1", "cam-2", "cam-3")
    one = world.start()
    world.run()
    (canary,) = asked(world, one.id)
    fails(world, canary)
    world.run()
    found = world.rollouts.get(one.id)
    assert found.state is State.ROLLING_BACK
    assert f"{canary} {words}" in found.reason
    world.run()
    assert world.wanted(canary) == world.bundle(1)
    assert world.devices.device(canary).desired == 3
    world.take(canary)
    world.run()
    assert world.rollouts.get(one.id).state is State.ROLLED_BACK
    assert words in world.rollouts.get(one.id).reason
    assert sorted(world.states(one.id).values()) == ["returned", "waiting", "waiting"]
    assert decided(world, one.id) == ["start", "begin", "roll_back", "finish"]
    assert world.rollouts.decisions(one.id)[0].reason == "1 devices are back"


def test_failing_calls_bring_all_back_and_name_the_figures(world: World) -> None:
    world.add("cam-1", "cam-2")
    for name in ("cam-1", "cam-2"):
        world.count(name, 1000)
    one = world.start()
    world.run()
    serve(world, one.id, failed=40)
    world.run()
    found = world.rollouts.get(one.id)
    assert found.state is State.ROLLING_BACK
    assert found.reason == (
        "wave 1, box: 40 of 200 calls failed, 0 of 1000 before (at most 1.0% more)"
    )


def test_slow_calls_bring_all_back(world: World) -> None:
    world.add("cam-1", "cam-2")
    for name in ("cam-1", "cam-2"):
        world.count(name, 1000, latency_ms=2.0)
    one = world.start()
    world.run()
    serve(world, one.id, latency_ms=6.0)
    world.run()
    found = world.rollouts.get(one.id)
    assert found.state is State.ROLLING_BACK
    assert "p99 is 6 ms, 2 ms before (at most 2 times that and 1 ms: 5 ms)" in found.reason


def test_worse_results_bring_all_back(world: World) -> None:
    world.add("cam-1")
    world.answer("cam-1", 190, 10)
    one = world.start()
    world.run()
    world.take("cam-1")
    world.answer("cam-1", 100, 100)
    world.run()
    found = world.rollouts.get(one.id)
    assert found.state is State.ROLLING_BACK
    assert "50.0% of 200 known results are right, 95.0% of 200 before" in found.reason


def test_flagged_inputs_pause_until_a_person_says_otherwise(world: World) -> None:
    world.add("cam-1")
    world.count("cam-1", 1000)
    one = world.start()
    world.run()
    serve(world, one.id, flagged=100)
    world.run(1, seconds=61)
    found = world.rollouts.get(one.id)
    assert found.state is State.PAUSED
    assert "100 of 200 rows were flagged, 0 of 1000 before" in found.reason
    world.rollouts.resume(one.id, by="ann", now=world.now)
    world.run()
    assert world.rollouts.get(one.id).state is State.PAUSED
    world.rollouts.resume(one.id, by="ann", now=world.now, reason="night  shift", waive=True)
    assert world.rollouts.get(one.id).reason == (
        "resumed, what is lacking waived, by ann: night shift"
    )
    world.run()
    assert world.rollouts.get(one.id).state is State.COMPLETED


def test_a_bundle_revoked_before_its_turn_pauses(world: World) -> None:
    world.add("cam-1", "cam-2")
    one = world.start()
    world.run()
    world.releases.revoke(world.bundle(2), by="ann", now=world.now)
    world.run()
    found = world.rollouts.get(one.id)
    assert found.state is State.PAUSED
    assert (
        found.reason == f"{world.bundle(2)[:19]} is not listed any more: no device may install it"
    )


# Patience.


def test_too_little_evidence_waits_and_pauses_after_the_deadline(world: World) -> None:
    world.add("cam-1", "cam-2")
    one = world.start()
    world.run()
    (canary,) = asked(world, one.id)
    world.take(canary)
    world.count(canary, 3)
    world.run(2, seconds=61)
    assert standing(world, one.id) == (State.RUNNING, 0)
    assert world.rollouts.get(one.id).reason == (
        "wave 1, box: 3 calls with it, 20 are needed to judge"
    )
    world.run(1, hours=1)
    found = world.rollouts.get(one.id)
    assert found.state is State.PAUSED
    assert found.reason.endswith(
        "20 are needed to judge, and the deadline of 2026-11-21 13:30 UTC has passed"
    )
    world.count(canary, 30)
    world.rollouts.resume(one.id, by="ann", now=world.now)
    world.run()
    assert standing(world, one.id) == (State.RUNNING, 1)


def test_who_is_offline_holds_up_no_wave_that_half_has_taken(world: World) -> None:
    names = ["cam-1", "cam-2", "cam-3", "cam-4"]
    world.add(*names)
    one = world.start(plan=Plan(canary="100%", soak_s=60, deadline_s=3600, least_calls=20))
    world.run()
    for name in names[2:]:
        world.offline(name)
    for name in names[:2]:
        world.take(name)
        world.count(name, 100)
    world.run(1, seconds=61)
    assert world.rollouts.get(one.id).state is State.RUNNING
    world.run(1, seconds=61)
    assert world.rollouts.get(one.id).state is State.COMPLETED
    assert world.rollouts.why_not("cam-3", DEPLOYMENT) == (
        "The device is offline; it was last seen on 2026-11-21 12:30 UTC."
    )


def test_an_offline_device_makes_no_canary_while_another_is_there(world: World) -> None:
    world.add("cam-1", "cam-2", "cam-3")
    for name in ("cam-1", "cam-3"):
        world.offline(name)
    one = world.start()
    world.run()
    assert asked(world, one.id) == ["cam-2"]


def test_a_canary_that_stays_offline_pauses_after_the_deadline(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    world.offline("cam-1")
    world.run(1, minutes=59)
    assert world.rollouts.get(one.id).state is State.RUNNING
    world.run(1, minutes=2)
    found = world.rollouts.get(one.id)
    assert found.state is State.PAUSED
    assert found.reason.startswith(
        "wave 1, box: 0 of 1 committed it, 1 are needed, 1 are offline, and the deadline of"
    )


def test_what_a_device_refused_before_is_not_held_against_it(world: World) -> None:
    world.add("cam-1")
    world.devices.set_desired("cam-1", DEPLOYMENT, world.bundle(2), by="ann", now=world.now)
    world.refuse("cam-1")
    world.devices.set_desired("cam-1", DEPLOYMENT, world.bundle(1), by="ann", now=world.now)
    one = world.start()
    world.run(2)
    assert world.states(one.id) == {"cam-1": "asked"}
    world.fetch("cam-1")
    world.run()
    assert world.states(one.id) == {"cam-1": "asked"}


def test_a_device_on_hold_has_not_failed(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    world.accepted["cam-1"] = 2
    held = world.committed["cam-1"]
    world.tell("cam-1", held=True, serving=held, committed=held)
    world.run()
    assert world.states(one.id) == {"cam-1": "asked"}
    assert world.rollouts.why_not("cam-1", DEPLOYMENT) == (
        "The device's owner has stopped updates on it."
    )


# Persons.


def test_a_pause_asks_no_further_device_and_decides_nothing(world: World) -> None:
    world.add("cam-1", "cam-2")
    one = world.start()
    world.run()
    (canary,) = asked(world, one.id)
    world.rollouts.pause(one.id, by="ann", now=world.now, reason="it is Friday")
    world.refuse(canary)
    world.run(2, minutes=10)
    found = world.rollouts.get(one.id)
    assert (found.state, found.reason) == (State.PAUSED, "paused by ann: it is Friday")
    assert world.states(one.id)[canary] == "failed"
    other = ({"cam-1", "cam-2"} - {canary}).pop()
    assert world.rollouts.why_not(other, DEPLOYMENT) == (
        "Rollout 1 of digits:2 is paused: paused by ann: it is Friday."
    )
    world.rollouts.resume(one.id, by="ann", now=world.now)
    world.run()
    assert world.rollouts.get(one.id).state is State.ROLLING_BACK


def test_a_pending_rollout_that_is_paused_touches_nothing(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.rollouts.pause(one.id, by="ann", now=world.now)
    world.run(2)
    assert world.wanted("cam-1") == world.bundle(1)
    world.rollouts.resume(one.id, by="ann", now=world.now)
    world.run()
    assert world.wanted("cam-1") == world.bundle(2)


def test_an_abort_leaves_every_device_as_it_is(world: World) -> None:
    world.add("cam-1", "cam-2")
    one = world.start()
    world.run()
    (canary,) = asked(world, one.id)
    world.rollouts.abort(one.id, by="ann", now=world.now)
    world.run(3)
    assert world.wanted(canary) == world.bundle(2)
    other = ({"cam-1", "cam-2"} - {canary}).pop()
    assert world.wanted(other) == world.bundle(1)
    assert world.rollouts.why_not(other, DEPLOYMENT) == (
        "Rollout 1 of digits:2 was aborted before its turn: aborted by ann."
    )
    with pytest.raises(ConflictError, match="rollout 1 is aborted: it cannot pause"):
        world.rollouts.pause(one.id, by="ann", now=world.now)


def test_a_person_can_bring_a_completed_rollout_back(world: World) -> None:
    world.add("cam-1", "cam-2")
    one = world.start(plan=Plan(canary="100%", soak_s=0, deadline_s=60, least_calls=0))
    world.run()
    serve(world, one.id)
    world.run()
    assert world.rollouts.get(one.id).state is State.COMPLETED
    world.rollouts.roll_back(one.id, by="ann", now=world.now, reason="complaints")
    assert world.states(one.id) == {"cam-1": "returning", "cam-2": "returning"}
    world.run()
    for name in ("cam-1", "cam-2"):
        assert world.wanted(name) == world.bundle(1)
        world.take(name)
    world.run()
    assert world.rollouts.get(one.id).state is State.ROLLED_BACK
    assert world.rollouts.get(one.id).reason == "rolled back by ann: complaints"


def test_a_rollback_restores_role_and_share_too(world: World) -> None:
    world.add("cam-1")
    before = Assignment(bundle=world.bundle(1), role="challenger", share=0.25)
    world.devices.set_desired("cam-1", DEPLOYMENT, before, by="ann", now=world.now)
    one = world.start()
    world.run()
    world.rollouts.roll_back(one.id, by="ann", now=world.now)
    world.run()
    state = world.devices.desired("cam-1")
    assert state is not None
    assert state.deployments[DEPLOYMENT] == before


def test_going_back_does_not_wait_for_ever_for_who_is_away(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    world.offline("cam-1")
    world.rollouts.roll_back(one.id, by="ann", now=world.now)
    world.run(1, minutes=59)
    assert world.rollouts.get(one.id).state is State.ROLLING_BACK
    world.run(1, minutes=2)
    assert world.rollouts.get(one.id).state is State.ROLLED_BACK
    assert world.wanted("cam-1") == world.bundle(1)
    assert world.rollouts.decisions(one.id)[0].reason == (
        "0 devices are back, 1 go back when they are there again"
    )


def test_a_device_that_cannot_go_back_is_named(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    world.take("cam-1")
    world.run()
    world.rollouts.roll_back(one.id, by="ann", now=world.now)
    world.run()
    world.refuse("cam-1", "TamperedError")
    world.run()
    assert world.rollouts.get(one.id).state is State.ROLLED_BACK
    (member,) = world.rollouts.members(one.id)
    assert (member.state, member.note[:22]) == ("stuck", "refused: TamperedError")


def test_who_had_nothing_keeps_the_bundle(world: World) -> None:
    world.add("cam-1", version=None)
    one = world.start()
    world.run()
    world.take("cam-1")
    world.run()
    world.rollouts.roll_back(one.id, by="ann", now=world.now)
    world.run()
    (member,) = world.rollouts.members(one.id)
    assert (member.state, member.note) == ("kept", "there is nothing listed to go back to")
    assert world.wanted("cam-1") == world.bundle(2)
    assert world.rollouts.get(one.id).state is State.ROLLED_BACK


def test_who_had_the_bundle_before_keeps_it(world: World) -> None:
    world.add("cam-1", version=2)
    one = world.start()
    world.run(2)
    assert world.states(one.id) == {"cam-1": "committed"}
    world.rollouts.roll_back(one.id, by="ann", now=world.now)
    world.run()
    (member,) = world.rollouts.members(one.id)
    assert (member.state, member.note) == ("kept", "it had this bundle before")


def test_a_device_that_committed_without_being_told_goes_back_there(world: World) -> None:
    world.add("cam-1", version=None)
    first = world.bundle(1)
    world.tell("cam-1", serving=first, committed=first)
    one = world.start()
    world.run()
    world.rollouts.roll_back(one.id, by="ann", now=world.now)
    world.run()
    assert world.wanted("cam-1") == first


def test_no_device_goes_back_to_a_bundle_that_was_revoked(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    world.releases.revoke(world.bundle(1), by="ann", now=world.now)
    world.rollouts.roll_back(one.id, by="ann", now=world.now)
    world.run()
    assert world.wanted("cam-1") == world.bundle(2)
    assert world.states(one.id) == {"cam-1": "kept"}


# Others who decide.


@pytest.mark.parametrize("turning_back", [False, True])
def test_a_device_assigned_by_hand_leaves(world: World, turning_back: bool) -> None:
    world.add("cam-1", "cam-2")
    one = world.start(plan=Plan(canary="100%", soak_s=1, deadline_s=60))
    world.run()
    world.devices.set_desired("cam-1", DEPLOYMENT, world.bundle(3), by="bob", now=world.now)
    if turning_back:
        world.rollouts.roll_back(one.id, by="ann", now=world.now)
    world.run(2)
    assert world.states(one.id)["cam-1"] == "left"
    assert world.wanted("cam-1") == world.bundle(3)
    why = world.rollouts.why_not("cam-1", DEPLOYMENT)
    assert why == (
        f"Rollout 1 of digits:2 has let the device go: {world.bundle(3)[:19]} was assigned to it "
        "by bob."
    )


def test_a_new_revision_of_the_same_content_changes_nothing(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    world.devices.renew_desired("cam-1", by="worker", now=world.now)
    world.devices.set_desired("cam-1", "other", world.bundle(3), by="bob", now=world.now)
    world.run()
    (member,) = world.rollouts.members(one.id)
    assert (member.state, member.revision) == ("asked", 4)


def test_a_retired_device_leaves_and_is_not_counted(world: World) -> None:
    world.add("cam-1", "cam-2")
    one = world.start(plan=Plan(canary="100%", soak_s=0, deadline_s=60, least_calls=0))
    world.run()
    world.devices.retire_device("cam-1", by="ann", now=world.now)
    world.take("cam-2")
    world.run()
    assert world.states(one.id) == {"cam-1": "left", "cam-2": "committed"}
    assert world.rollouts.get(one.id).state is State.COMPLETED
    assert world.rollouts.why_not("cam-1", DEPLOYMENT) == "The device was retired on 2026-11-21."


def test_a_fleet_that_has_left_ends_the_rollout(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    world.devices.retire_device("cam-1", by="ann", now=world.now)
    world.run()
    assert world.rollouts.get(one.id).state is State.COMPLETED


# What is said.


def test_why_not_tells_which_wave_is_under_way(world: World) -> None:
    world.add("cam-1", "cam-2")
    assert world.rollouts.why_not("cam-1", DEPLOYMENT) is None
    assert world.rollouts.why_not("cam-1", "gate-1") == (
        "No rollout wants anything of 'gate-1' on it, and nothing was assigned."
    )
    one = world.start()
    assert world.rollouts.why_not("cam-1", DEPLOYMENT) == "Rollout 1 of digits:2 has not begun."
    world.run()
    (canary,) = asked(world, one.id)
    other = ({"cam-1", "cam-2"} - {canary}).pop()
    assert world.rollouts.why_not(canary, DEPLOYMENT) == (
        "The device is online at revision 1 and has not accepted 2 yet."
    )
    assert world.rollouts.why_not(other, DEPLOYMENT) == (
        "Rollout 1 of digits:2 has not come to its wave 2 of 2; wave 1 is under way: wave 1, box: "
        "0 of 1 committed it, 1 are needed."
    )
    with pytest.raises(NotFoundError):
        world.rollouts.why_not("cam-9", DEPLOYMENT)


def test_events_can_be_followed_from_any_of_them(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    serve(world, one.id)
    world.run(2, seconds=61)
    events = world.rollouts.events(one.id)
    assert [event.kind for event in events] == ["start", "begin", "asked", "committed", "complete"]
    assert [event.number for event in events] == [1, 2, 3, 4, 5]
    assert events[3].device == "cam-1"
    assert world.rollouts.events(one.id, after=3) == events[3:]
    assert world.rollouts.events(one.id, after=3, limit=1) == events[3:4]
    with pytest.raises(NotFoundError):
        world.rollouts.events(9)


def test_one_rollout_that_cannot_go_on_holds_up_no_other(world: World) -> None:
    world.add("cam-1")
    world.add("gate", version=None, deployment="gate-1")
    world.start()
    world.rollouts.start(MODEL, 3, "gate-1", by="ann", now=world.now, plan=PLAN)
    with world.database.write() as session:
        statement = "UPDATE devices_device SET facts = '{' WHERE name = 'cam-1'"
        session.connection().exec_driver_sql(statement)
    with pytest.raises(DocumentError):
        world.run()
    state = world.devices.desired("gate")
    assert state is not None
    assert state.deployments["gate-1"].bundle == world.bundle(3)


def test_a_turn_at_the_same_moment_changes_nothing(world: World) -> None:
    world.add("cam-1", "cam-2", "cam-3")
    one = world.start()
    world.run()
    before = (world.rollouts.members(one.id), world.rollouts.events(one.id))
    for _ in range(3):
        world.rollouts.run(world.now)
    assert (world.rollouts.members(one.id), world.rollouts.events(one.id)) == before


def test_a_large_wave_is_asked_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insight_cloud.rollouts.telling.AT_ONCE", 2)
    names = [f"cam-{number}" for number in range(5)]
    world.add(*names)
    one = world.start(plan=Plan(canary="100%", soak_s=0, deadline_s=60, least_calls=0))
    for expected in (2, 4, 5):
        world.run()
        assert len(asked(world, one.id)) == expected
        assert world.rollouts.get(one.id).state is State.RUNNING
    assert {world.wanted(name) for name in names} == {world.bundle(2)}


def test_moments_have_their_zone(world: World) -> None:
    world.add("cam-1")
    one = world.start()
    world.run()
    found = world.rollouts.get(one.id)
    assert found.deadline == world.now + timedelta(seconds=PLAN.deadline_s)
