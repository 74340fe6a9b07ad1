# SPDX-License-Identifier: Apache-2.0
"""Power cut at every step of writing: the committed slot opens, whatever the step was.

`Machine` stands between the product and the operating system. It counts every
call that changes or flushes anything and dies at the n-th, in the middle of a
write where it is one; a dead machine refuses every later call, so that no
cleanup runs that a real one would not have run.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from insight_edge.bundle.limits import MANIFEST_NAME
from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.slots import Slots
from insight_edge.errors import DocumentError
from tests.fakes.bundles import write_small_bundle

CALLS = ("open", "write", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir")


class PowerCutError(BaseException):
    """Not an `Exception`: nothing in the product may catch it."""


class Machine:
    """Patches `os` so that the n-th call is the last; 0 for a machine that lives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int = 0) -> None:
        self.last = last
        self.calls = 0
        self.trace: list[tuple[str, str]] = []
        for name in CALLS:
            monkeypatch.setattr(os, name, self._stand_in(name, getattr(os, name)))

    def _stand_in(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if self.last and self.calls == self.last:
                raise PowerCutError
            self.calls += 1
            if self.calls == self.last:
                if name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise PowerCutError
            self.trace.append((name, _subject(name, arguments)))
            # Flushing is recorded, not done: no power is cut that would need it.
            return None if name == "fsync" else real(*arguments, **keywords)

        return call


def _subject(name: str, arguments: tuple[Any, ...]) -> str:
    if name in {"write", "fsync"}:
        return str(Path(f"/proc/self/fd/{arguments[0]}").readlink())
    if name in {"rename", "replace"}:
        return f"{arguments[0]} -> {arguments[1]}"
    return str(arguments[0])


@contextmanager
def machine(last: int = 0) -> Iterator[Machine]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Machine(monkeypatch, last)


def cut(last: int, act: Callable[[], object]) -> bool:
    """Run `act` on a machine that dies at call `last`; return whether it came to its end."""
    with machine(last):
        try:
            act()
        except PowerCutError:
            return False
    return True


def at_every_call(act_on: Callable[[int], bool]) -> int:
    """Run for 1, 2, ... until nothing was cut, and return how many cuts there were."""
    last = 1
    while not act_on(last):
        last += 1
        assert last < 1000
    return last - 1


@pytest.fixture
def bundles(tmp_path: Path) -> dict[str, str]:
    """Three bundles in directories named after their versions, with their digests."""
    return {name: write_small_bundle(tmp_path / name, name.encode()) for name in ("1", "2", "3")}


def device(tmp_path: Path, at: int) -> Path:
    """Make a device that serves version 1 from slot a and still has version 2 in slot b."""
    state = tmp_path / f"state{at}"
    slots = Slots(state)
    with machine():
        slots.commit(slots.stage(tmp_path / "1"))
        slots.stage(tmp_path / "2")
    return state


def update(state: Path, bundle: Path) -> None:
    slots = Slots(state)
    slots.commit(slots.stage(bundle))


def test_committed_slot_opens_after_a_cut_at_every_call_of_an_update(
    tmp_path: Path, bundles: dict[str, str]
) -> None:
    def once(last: int) -> bool:
        state = device(tmp_path, last)
        done = cut(last, lambda: update(state, tmp_path / "3"))

        slots = Slots(state)
        assert slots.committed is not None
        serving = slots.bundle(slots.committed, allow_unsigned=True).digest
        assert serving == bundles["1" if slots.committed == "a" else "3"]
        if done:
            assert serving == bundles["3"]
        idle = state / "slots" / slots.idle
        if idle.exists():
            # An idle slot is whole or empty: nothing half-copied is ever taken for a bundle.
            held = slots.bundle(slots.idle, allow_unsigned=True).digest
            assert held in bundles.values()

        update(state, tmp_path / "3")
        update(state, tmp_path / "3")
        assert {path.name for path in (state / "slots").iterdir()} == {"a", "b"}
        assert not list(state.glob(".*"))
        shutil.rmtree(state)
        return done

    cuts = at_every_call(once)
    assert cuts > 30


def test_boot_is_never_counted_twice_with_a_cut_at_every_call(tmp_path: Path) -> None:
    boots: list[int] = []
    state = tmp_path / "state"
    slots = Slots(state)
    cuts = at_every_call(lambda last: cut(last, lambda: boots.append(slots.next_boot())))
    boots.append(slots.next_boot())
    assert cuts >= 4
    assert len(set(boots)) == len(boots) == 2
    assert boots == sorted(boots)


def test_bundle_lies_whole_under_its_name_or_beside_it_after_a_cut_at_every_call(
    tmp_path: Path, bundles: dict[str, str]
) -> None:
    def once(last: int) -> bool:
        place = tmp_path / f"place{last}"
        place.mkdir()
        write_small_bundle(place / "b", b"1")
        done = cut(last, lambda: write_small_bundle(place / "b", b"3"))

        whole = set()
        for path in place.iterdir():
            try:
                whole.add(open_bundle(path, allow_unsigned=True).digest)
            except DocumentError:
                assert path.name.startswith(".")
        assert whole & {bundles["1"], bundles["3"]}
        if done:
            assert whole == {bundles["3"]}
        return done

    cuts = at_every_call(once)
    assert cuts > 15


def test_new_bundle_is_named_only_when_all_of_it_was_flushed(tmp_path: Path) -> None:
    with machine() as observed:
        write_small_bundle(tmp_path / "b")
    trace = observed.trace
    named = next(at for at, (name, _) in enumerate(trace) if name == "rename")
    staged, _, place = trace[named][1].partition(" -> ")
    assert place == str(tmp_path / "b")

    written = {path for name, path in trace[:named] if name == "write"}
    assert f"{staged}/{MANIFEST_NAME}" in written
    for path in written:
        last_write = max(at for at, event in enumerate(trace) if event == ("write", path))
        assert ("fsync", path) in trace[last_write:named]
    assert ("fsync", staged) in trace[:named]
    assert ("fsync", str(tmp_path)) in trace[named:]


def test_slot_is_emptied_only_when_its_new_name_was_flushed(
    tmp_path: Path, bundles: dict[str, str]
) -> None:
    del bundles
    state = tmp_path / "state"
    slots = Slots(state)
    slots.stage(tmp_path / "1")
    with machine() as observed:
        slots.clear("a")
    names = [name for name, _ in observed.trace]
    flushed = observed.trace.index(("fsync", str(state / "slots")))
    assert names.index("rename") < flushed < names.index("unlink")


def test_commit_and_counter_are_flushed_before_and_after_their_rename(
    tmp_path: Path, bundles: dict[str, str]
) -> None:
    del bundles
    state = tmp_path / "state"
    slots = Slots(state)
    slots.stage(tmp_path / "1")
    for act in (lambda: slots.commit("a"), slots.next_boot):
        with machine() as observed:
            act()
        changes = [name for name, _ in observed.trace if name in {"write", "fsync", "replace"}]
        assert changes == ["write", "fsync", "replace", "fsync"]
        assert observed.trace[-1] == ("fsync", str(state))
