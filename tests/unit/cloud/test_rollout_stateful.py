# SPDX-License-Identifier: Apache-2.0
"""A fleet of fifty that answers in any order, persons who interfere, and what never happens."""

import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import ACTIVE, TAKING, MemberState, State
from tests.fakes.rollout_world import (
    DEPLOYMENT,
    PROFILES,
    VERSIONS,
    World,
    make_world,
    open_world,
)

DEVICES = 50
PLAN = Plan(
    canary="2", waves=("20%", "100%"), soak_s=30, deadline_s=600, least_calls=10, needed_share=0.5
)
places = st.integers(0, DEVICES - 1)


@cache
def fleet() -> tempfile.TemporaryDirectory[str]:
    """Return a world with all devices, which is made once and copied."""
    folder = tempfile.TemporaryDirectory(prefix="rollout-fleet-")
    place = Path(folder.name) / "world"
    make_world(place)
    with open_world(place, place) as world:
        for number in range(DEVICES):
            world.add(f"cam-{number:02}", profile="lab" if number % 7 == 0 else "box")
    return folder


class RolloutMachine(RuleBasedStateMachine):
    """Devices, an operator, another operator with his own mind, and the worker."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        made = Path(fleet().name) / "world"
        self.world: World = self.stack.enter_context(open_world(made, folder / "world"))
        self.names = [f"cam-{number:02}" for number in range(DEVICES)]
        for name in self.names:
            self.world.committed[name] = self.world.wanted(name)
            self.world.accepted[name] = 1
        self.revisions = dict.fromkeys(self.names, 1)
        self.wanted = dict(self.world.committed)
        self.by_hand: set[str] = set()
        self.digests = {
            profile: tuple(self.world.bundle(version, profile) for version in VERSIONS)
            for profile in PROFILES
        }
        self.waves = [0]

    def teardown(self) -> None:
        self.stack.close()

    @initialize()
    def start(self) -> None:
        self.world.start(plan=PLAN)

    @property
    def state(self) -> State:
        return self.world.rollouts.get(1).state

    def told(self, place: int) -> str | None:
        """Return a device that has something new to do, the nearest to a place."""
        behind = {
            one.name
            for one in self.world.devices.devices(limit=DEVICES).devices
            if self.world.accepted[one.name] < one.desired
        }
        order = self.names[place:] + self.names[:place]
        return next((name for name in order if name in behind), None)

    @rule(seconds=st.sampled_from([1, 5, 31, 200]))
    def work(self, seconds: int) -> None:
        self.world.run(1, seconds=seconds)

    @rule(place=places, share=st.integers(1, DEVICES))
    def some_take_it(self, place: int, share: int) -> None:
        behind = [
            one.name
            for one in self.world.devices.devices(limit=DEVICES).devices
            if self.world.accepted[one.name] < one.desired
        ]
        for name in (behind[place:] + behind[:place])[:share]:
            self.world.take(name)
            self.world.count(name, 20)

    @rule(place=places)
    def one_refuses_it(self, place: int) -> None:
        name = self.told(place)
        if name is not None:
            self.world.refuse(name)

    @rule(place=places)
    def one_gives_it_up(self, place: int) -> None:
        name = self.told(place)
        if name is not None:
            self.world.give_up(name)

    @rule(place=places)
    def one_fetches_it(self, place: int) -> None:
        name = self.told(place)
        if name is not None:
            self.world.fetch(name)
            self.world.accepted[name] -= 1  # it is done with it later

    @rule(place=places)
    def one_goes_away(self, place: int) -> None:
        self.world.offline(self.names[place])

    @rule(place=places)
    def one_comes_back(self, place: int) -> None:
        self.world.online(self.names[place])

    @rule(place=places)
    def one_is_assigned_by_hand(self, place: int) -> None:
        name = self.names[place]
        wanted = self.world.bundle(3, self.world.devices.device(name).profile)
        self.world.devices.set_desired(name, DEPLOYMENT, wanted, by="bob", now=self.world.now)
        self.by_hand.add(name)

    @precondition(lambda self: self.state is State.RUNNING)
    @rule()
    def pause(self) -> None:
        self.world.rollouts.pause(1, by="ann", now=self.world.now)

    @precondition(lambda self: self.state is State.PAUSED)
    @rule(waive=st.booleans())
    def resume(self, waive: bool) -> None:
        self.world.rollouts.resume(1, by="ann", now=self.world.now, waive=waive)

    @precondition(lambda self: self.state is State.RUNNING)
    @rule(sure=st.integers(0, 9))
    def roll_back(self, sure: int) -> None:
        if sure == 0:
            self.world.rollouts.roll_back(1, by="ann", now=self.world.now)

    @invariant()
    def revisions_only_grow(self) -> None:
        for device in self.world.devices.devices(limit=DEVICES).devices:
            name = device.name
            assert device.desired >= self.revisions[name]
            if device.desired > self.revisions[name]:
                self.revisions[name] = device.desired
                self.wanted[name] = self.world.wanted(name)

    @invariant()
    def one_wave_after_the_other(self) -> None:
        rollouts = self.world.rollouts.list()
        if not rollouts:
            return
        wave = rollouts[0].wave
        assert wave in {self.waves[-1], self.waves[-1] + 1}
        if wave != self.waves[-1]:
            self.waves.append(wave)
        for one in self.world.rollouts.members(1):
            if one.state in TAKING:
                assert one.wave is not None
                assert one.wave <= wave

    @invariant()
    def nobody_is_told_what_is_not_for_him(self) -> None:
        if not self.world.rollouts.list():
            return
        self.revisions_only_grow()
        for one in self.world.rollouts.members(1):
            old, new, other = self.digests[one.profile]
            wanted = self.wanted[one.device]
            if one.device in self.by_hand:
                assert wanted in {old, new, other}
            elif one.state in {MemberState.WAITING, MemberState.RETURNED}:
                assert wanted == old
            else:
                assert wanted in {old, new}

    @invariant()
    def every_device_that_is_not_updated_has_a_reason(self) -> None:
        if not self.world.rollouts.list() or self.state not in ACTIVE:
            return
        for member in self.world.rollouts.members(1)[::17]:
            name = member.device
            why = self.world.rollouts.why_not(name, DEPLOYMENT)
            if member.state in {MemberState.WAITING, MemberState.ASKED, MemberState.LEFT}:
                assert why or self.world.committed[name] == self.world.wanted(name)


def test_an_end_is_reached_from_anywhere() -> None:
    """After anything at all, patience and obedient devices bring every rollout to an end."""
    machine = RolloutMachine()
    try:
        machine.start()
        machine.work(1)
        machine.one_refuses_it(0)
        machine.pause()
        machine.some_take_it(3, 1)
        machine.resume(waive=True)
        for _ in range(30):
            machine.work(31)
            machine.some_take_it(0, DEVICES)
        assert machine.state in {State.ROLLED_BACK, State.COMPLETED}
    finally:
        machine.teardown()


TestRollout = RolloutMachine.TestCase
TestRollout.settings = settings(
    max_examples=10,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
