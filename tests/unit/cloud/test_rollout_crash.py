# SPDX-License-Identifier: Apache-2.0
"""A worker that is killed before or after any of its commits, and another that goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from insight_cloud.platform.database import Database, open_database
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import State
from tests.fakes.rollout_world import World, make_world, open_world

NAMES = ("cam-1", "cam-2")
PLAN = Plan(canary="1", waves=("100%",), soak_s=10, deadline_s=600, least_calls=20)
MOST_COMMITS = 60
OVER = {State.COMPLETED, State.ROLLED_BACK}


class Killed(BaseException):
    """Nothing that is expected, so nothing may catch it."""


class DyingDatabase(Database):
    """A database whose user dies at one of its commits.

    Attributes:
        left: commits until then, while it counts; None for never.
        after: whether that commit is made.
    """

    left: int | None = None
    after = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        dies = self._is_due()
        with super().write() as session:
            yield session
            if dies and not self.after:
                raise Killed
        if dies:
            raise Killed

    def _is_due(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left == 0


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rollout") / "template"
    make_world(folder)
    with open_world(folder, folder) as world:
        world.add(*NAMES)
    return folder


def story(
    world: World, database: DyingDatabase, *, fails: bool, dies_at: int | None = None
) -> bool:
    """Let a rollout come to its end, whatever dies, and return whether something did."""
    world.committed = dict.fromkeys(NAMES, world.bundle(1))
    world.accepted = dict.fromkeys(NAMES, 1)
    one = world.start(plan=PLAN)
    left, died = dies_at, False
    while world.rollouts.get(one.id).state not in OVER:
        world.later(seconds=11)
        database.left = left
        try:
            world.rollouts.run(world.now)
        except Killed:
            died = True
        left, database.left = database.left, None
        left = None if died else left
        _behave(world, one.id, fails=fails)
    return died


def _behave(world: World, rollout: int, *, fails: bool) -> None:
    """Let devices do what they are told, as far as they are told; the last one may refuse."""
    for name in NAMES:
        wanted, behind = world.wanted(name), world.accepted[name]
        if behind == world.devices.device(name).desired:
            continue
        members = world.rollouts.members(rollout)
        waves = {one.device: one.wave for one in members}
        if fails and waves[name] == 1 and wanted == world.bundle(2):
            world.refuse(name)
        else:
            world.take(name)
            world.count(name, 50)


def outcome(world: World) -> object:
    """Return everything that must not depend on who died when.

    A device that is told later may be brought back before it has said that it refuses.
    """
    return (
        [(one.decision, one.wave) for one in world.rollouts.decisions(1)],
        world.states(1),
        [world.wanted(name) for name in NAMES],
        [world.devices.device(name).desired for name in NAMES],
        sorted((e.kind, e.device or "") for e in world.rollouts.events(1) if e.kind != "failed"),
    )


@contextmanager
def dying(template: Path, folder: Path) -> Iterator[tuple[World, DyingDatabase]]:
    with open_world(template, folder):
        pass
    plain = open_database(folder / "cloud.sqlite")
    database = DyingDatabase(plain._reader)
    with open_world(template, folder, database) as world:
        yield world, database


@pytest.mark.parametrize(
    ("after", "fails"),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.long),
        pytest.param(True, False, marks=pytest.mark.long),
    ],
)
def test_whichever_commit_it_dies_at_the_end_is_the_same(
    template: Path, tmp_path: Path, fails: bool, after: bool
) -> None:
    with dying(template, tmp_path / "calm") as (world, database):
        assert not story(world, database, fails=fails)
        expected = outcome(world)
    deaths = 0
    for number in range(1, MOST_COMMITS):
        with dying(template, tmp_path / f"world-{number}") as (world, database):
            database.after = after
            if not story(world, database, fails=fails, dies_at=number):
                break
            deaths += 1
            assert outcome(world) == expected, f"died at commit {number}"
    else:
        raise AssertionError("there were more commits than this test tries")
    assert deaths >= 10


class MeddledDatabase(Database):
    """A database in which something else happens just before one of the writes.

    Attributes:
        left: writes until then; None for never.
        meddle: what happens.
    """

    left: int | None = None
    meddle: Callable[[], object]

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.meddle()
        with super().write() as session:
            yield session


@contextmanager
def meddled(template: Path, folder: Path) -> Iterator[tuple[World, World, MeddledDatabase]]:
    """Give a world, the same as somebody else has it open, and the database of the first."""
    with open_world(template, folder) as other:
        database = MeddledDatabase(open_database(folder / "cloud.sqlite")._reader)
        with open_world(template, folder, database) as world:
            world.committed = dict.fromkeys(NAMES, world.bundle(1))
            world.accepted = dict.fromkeys(NAMES, 1)
            yield world, other, database


def finish(world: World, database: MeddledDatabase, number: int | None = None) -> bool:
    """Let a rollout come to its end, and return whether there was a write of that number."""
    left = number
    while world.rollouts.get(1).state not in OVER:
        world.later(seconds=11)
        database.left = left
        world.rollouts.run(world.now)
        left, database.left = database.left, None
        left = None if left is None or left <= 0 else left
        _behave(world, 1, fails=False)
    return number is not None and left is None


def test_two_workers_at_once_decide_once(template: Path, tmp_path: Path) -> None:
    """The second does its whole turn between what the first has read and what it writes."""
    for number in range(1, MOST_COMMITS):
        with meddled(template, tmp_path / f"world-{number}") as (world, other, database):
            world.start(plan=PLAN)
            database.meddle = lambda: other.rollouts.run(world.now)
            if not finish(world, database, number):
                break
            decisions = [one.decision for one in world.rollouts.decisions(1)]
            assert decisions == ["complete", "advance", "begin", "start"], number
            kinds = [(e.kind, e.device) for e in world.rollouts.events(1)]
            assert len(kinds) == len(set(kinds)), number
            assert [world.devices.device(name).desired for name in NAMES] == [2, 2]
    assert number >= 8


def test_a_person_who_brings_it_back_has_the_last_word(template: Path, tmp_path: Path) -> None:
    """Whatever the worker has read before: nobody is left with the new bundle."""
    for number in range(1, MOST_COMMITS):
        with meddled(template, tmp_path / f"world-{number}") as (world, other, database):
            world.start(plan=PLAN)
            database.meddle = lambda: _bring_back(other, world)
            if not finish(world, database, number):
                break
            assert world.rollouts.get(1).state is State.ROLLED_BACK, number
            old = world.bundle(1)
            assert [world.wanted(name) for name in NAMES] == [old] * len(NAMES), number
    assert number >= 8


def _bring_back(other: World, world: World) -> None:
    other.rollouts.roll_back(1, by="ann", now=world.now)
