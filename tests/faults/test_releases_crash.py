# SPDX-License-Identifier: Apache-2.0
"""The writer dies between any two files: devices accept what is there, and the next write ends it.

`dying` counts every call that gives a file its name or takes it away, and dies
at the n-th; a dead writer refuses every later call, so no cleanup runs that a
real one would not have run.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import open_database
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.rules import Rotation, State
from insight_cloud.releases.service import Releases
from insight_edge.documents.codec import digest
from insight_edge.errors import RevokedError
from tests.fakes.trust_world import SECRET, START, Device, World, trust_world
from tests.fakes.update_server import UpdateServer

CALLS = ("rename", "replace", "unlink")


class DeadError(BaseException):
    """Not an `Exception`: nothing in the product may catch it."""


class Count:
    """How many calls there were; after the last one allowed the writer dies."""

    def __init__(self, last: int) -> None:
        self.calls = 0
        self.last = last

    def stand_in(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if self.calls >= self.last:
                raise DeadError
            self.calls += 1
            return real(*arguments, **keywords)

        return call


@contextmanager
def dying(last: int) -> Iterator[Count]:
    """Let the block die after that many calls."""
    count = Count(last)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in CALLS:
            monkeypatch.setattr(os, name, count.stand_in(getattr(os, name)))
        yield count


@contextmanager
def copied(prepared: Path, place: Path) -> Iterator[World]:
    """Give a copy of a world that was closed."""
    shutil.copytree(prepared, place)
    database, keys = open_database(place / "cloud.sqlite"), Keys(place / "keys")
    releases = Releases(database, open_blobs(place / "blobs"), place / "tuf", keys)
    try:
        with UpdateServer(place, SECRET) as server:
            yield World(place, server, releases, keys)
    finally:
        database.close()
        shutil.rmtree(place)


Act = Callable[[World, str], object]


def rotation(which: Rotation) -> Act:
    return lambda world, _: world.releases.rotate(which, by="Ada", now=world.now)


ACTS: dict[str, Act] = {
    "publish": lambda world, _: world.publish(b"second", version=2),
    "publish for a new profile": lambda world, _: world.publish(b"second", "other"),
    "revoke": lambda world, bundle: world.releases.revoke(bundle, by="Ada", now=world.now),
    "renew": lambda world, _: world.releases.renew(now=world.now),
    **{f"rotate {which.value}": rotation(which) for which in Rotation},
}
"""What a writer can die in."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a world with a bundle and a device that has it, closed."""
    place = tmp_path_factory.mktemp("prepared") / "world"
    with trust_world(place) as world:
        world.device().fetch(world.publish())
        (place / "root.json").write_text(world.releases.root())
    return place


def believes(device: Device, bundle: str, *, or_revoked: bool) -> None:
    try:
        assert digest(device.fetch(bundle)) == bundle
    except RevokedError:
        assert or_revoked
    assert device.trust.directors().keys


def devices(world: World) -> Iterator[Device]:
    """Yield a device that saw the repository before, and two new ones, of the first root too."""
    first = msgspec.structs.replace(world.identity(), root=(world.root / "root.json").read_text())
    yield Device(world, world.root / "devices" / "cam-1", first)
    yield Device(world, world.root / "devices" / "cam-2", first)
    yield world.device("cam-3")


def dies_and_recovers(world: World, act: str, last: int) -> bool:
    """Die in an act after some calls, and write again; return whether it came to its end."""
    (bundle,) = (release.bundle for release in world.releases.releases())
    world.later(days=8)
    try:
        with dying(last):
            ACTS[act](world, bundle)
    except DeadError:
        ended = False
    else:
        ended = True
    for device in devices(world):
        believes(device, bundle, or_revoked=act == "revoke")
    world.releases.renew(now=world.now)
    assert not world.keys.is_rotating
    assert not [path for path in world.metadata.iterdir() if path.name.startswith(".")]
    gone = world.releases.release(bundle).state is State.REVOKED
    assert gone or act != "revoke"
    for device in devices(world):
        believes(device, bundle, or_revoked=gone)
    if not gone:
        ACTS[act](world, bundle)
        third = world.publish(b"third", version=3)
        assert digest(next(devices(world)).fetch(third)) == third
    return ended


@pytest.mark.parametrize("act", ACTS)
def test_whatever_file_was_the_last_devices_believe_what_is_there(
    prepared: Path, tmp_path: Path, act: str
) -> None:
    for last in range(100):
        with copied(prepared, tmp_path / "world") as world:
            if dies_and_recovers(world, act, last):
                assert last > 2, "the writer died nowhere"
                return
    raise AssertionError("the writer never came to its end")


SCRIPT = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import open_database
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.service import Releases

place, bundle, last, now = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
database = open_database(place / "cloud.sqlite")
keys = Keys(place / "keys")
releases = Releases(database, open_blobs(place / "blobs"), place / "tuf", keys)
real, calls = os.replace, 0

def replace(*arguments, **keywords):
    global calls
    calls += 1
    if calls > last:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **keywords)

os.replace = replace
releases.publish(bundle, by="Ada", now=datetime.fromisoformat(now))
"""


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_killed_process_leaves_neither_a_lock_nor_a_broken_repository(
    prepared: Path, tmp_path: Path, last: int
) -> None:
    with copied(prepared, tmp_path / "world") as world:
        (before,) = (release.bundle for release in world.releases.releases())
        folder = world.bundle(b"second", version=2)
        arguments = [str(world.root), str(folder), str(last), START.isoformat()]
        child = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], check=False, timeout=60)
        assert child.returncode == -signal.SIGKILL
        for device in devices(world):
            assert digest(device.fetch(before)) == before
        world.releases.renew(now=world.now)
        second = next(release for release in world.releases.releases() if release.version == 2)
        for device in devices(world):
            assert digest(device.fetch(second.bundle)) == second.bundle
