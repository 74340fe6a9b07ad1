# SPDX-License-Identifier: Apache-2.0
"""Several processes publish, revoke and rotate at once, while a device looks on."""

import subprocess
import sys
from pathlib import Path

import pytest

from insight_cloud.releases.rules import State
from insight_edge.documents.codec import digest
from insight_edge.errors import RevokedError
from tests.fakes.trust_world import START, World, trust_world

PROCESSES = 3
EACH = 4

WRITER = """
import sys
from datetime import datetime
from pathlib import Path
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import open_database
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.rules import Rotation
from insight_cloud.releases.service import Releases

place, now, name = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), sys.argv[3]
database = open_database(place / "cloud.sqlite")
releases = Releases(database, open_blobs(place / "blobs"), place / "tuf", Keys(place / "keys"))
print("ready", flush=True)
sys.stdin.readline()
for folder in sys.argv[4:]:
    print(releases.publish(Path(folder), by="Ada", now=now).bundle, flush=True)
    releases.rotate(Rotation.TIMESTAMP if name == "0" else Rotation.BUILD, by="Ada", now=now)
bundle = releases.publish(Path(sys.argv[4]), by="Ada", now=now).bundle
releases.revoke(bundle, by=name, now=now)
database.close()
"""


def start(world: World, name: str, folders: list[Path]) -> subprocess.Popen[str]:
    arguments = [str(world.root), START.isoformat(), name, *map(str, folders)]
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_writers_queue_and_a_device_never_sees_half_a_state(tmp_path: Path) -> None:
    with trust_world(tmp_path) as world:
        first = world.publish()
        children = [
            start(world, name, [world.bundle(f"{name}-{turn}".encode()) for turn in range(EACH)])
            for name in map(str, range(PROCESSES))
        ]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        device = world.device()
        while any(child.poll() is None for child in children):
            assert digest(device.fetch(first)) == first
        assert len(world.releases.releases()) == 1 + PROCESSES * EACH
        for name, child in enumerate(children):
            out, err = child.communicate(timeout=60)
            assert child.returncode == 0, err
            revoked, *listed = out.split()[:EACH]
            release = world.releases.release(revoked)
            assert (release.state, release.decided_by) == (State.REVOKED, str(name))
            with pytest.raises(RevokedError):
                device.fetch(revoked)
            for bundle in listed:
                assert digest(device.fetch(bundle)) == bundle
