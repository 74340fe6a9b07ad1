# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every change that an update makes to the disk: old or new serves, then the new.

Real processes, killed really. Which change comes when is counted, so no instant is
left to chance; that a name is flushed before it is relied upon, which no kill
shows, is read off the order of calls.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from insight_edge.documents.codec import digest
from insight_edge.fleet.transfer.download import Source
from insight_edge.fleet.transfer.incoming import Incoming, incoming_dir
from insight_edge.fleet.transfer.part import part_of
from tests.fakes.published import publish_small
from tests.fakes.small_agent import SmallAgent
from tests.fakes.update_server import Stall, UpdateServer

ROOT = Path(__file__).parents[2]
SECRET = "secret"
OLD, NEW = b"old" * 10_000, b"new" * 10_000

EVERY = 2
"""All of them were seen to pass; every second one leaves time for other tests."""


ONCE = """
import sys
from pathlib import Path
from insight_edge.fleet.transfer.download import Source
from tests.fakes.small_agent import SmallAgent
state, cloud, token, bundle = sys.argv[1:]
SmallAgent(Path(state), Source(cloud=cloud, token=token)).run(bundle, 2)
"""


def manifests(tmp_path: Path) -> dict[str, str]:
    """Publish two bundles, give their manifests to the device, and return their digests."""
    folder = tmp_path / "state" / "manifests"
    folder.mkdir(parents=True)
    digests = {}
    for name, artifact in (("old", OLD), ("new", NEW)):
        manifest = publish_small(tmp_path / "cloud", artifact)
        digests[name] = digest(manifest)
        (folder / digests[name].removeprefix("sha256:")).write_bytes(manifest)
    return digests


@pytest.fixture
def device(tmp_path: Path) -> Iterator[tuple[SmallAgent, dict[str, str], UpdateServer]]:
    """A device that serves the old bundle, and a cloud that has the new one too."""
    (tmp_path / "cloud").mkdir()
    bundles = manifests(tmp_path)
    with UpdateServer(tmp_path / "cloud", SECRET) as server:
        agent = SmallAgent(tmp_path / "state", Source(cloud=server.url, token=SECRET))
        agent.run(bundles["old"], 1)
        assert agent.serving == bundles["old"]
        server.requests.clear()
        yield agent, bundles, server


def test_update_killed_anywhere_goes_on_and_what_serves_serves_on(
    tmp_path: Path, device: tuple[SmallAgent, dict[str, str], UpdateServer]
) -> None:
    agent, bundles, server = device
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.small_agent", agent.state, tmp_path / "work",
         server.url, SECRET, bundles["new"], str(EVERY)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * EVERY > 150


def test_agent_killed_in_a_download_fetches_the_rest_alone(
    device: tuple[SmallAgent, dict[str, str], UpdateServer],
) -> None:
    agent, bundles, server = device
    artifact = f"/v1/blobs/sha256/{sha256(NEW).hexdigest()}"
    server.behave(artifact, Stall(after_bytes=20_000))
    child = subprocess.Popen(
        [sys.executable, "-c", ONCE, agent.state, server.url, SECRET, bundles["new"]],
        cwd=ROOT,
    )  # fmt: skip
    pause = threading.Event()
    part = part_of(incoming_dir(agent.state, bundles["new"]) / "model.onnx")
    try:
        while not (part.exists() and part.stat().st_size == 20_000):
            assert child.poll() is None
            pause.wait(0.01)
    finally:
        child.kill()
        child.wait()
    server.behave(artifact, None)
    server.requests.clear()
    again = SmallAgent(agent.state, agent.source)
    again.run(bundles["new"], 2)
    assert again.serving == bundles["new"] == again.update.committed
    ranges = [one.range for one in server.requests if one.path == artifact]
    assert ranges == ["bytes=20000-"]
    assert again.fetched_bytes < len(NEW) - 20_000 + 5_000


def test_names_are_given_to_what_was_flushed_and_are_flushed_themselves(
    device: tuple[SmallAgent, dict[str, str], UpdateServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, bundles, _ = device
    manifest = (agent.state / "manifests" / bundles["new"].removeprefix("sha256:")).read_bytes()
    flushed: set[str] = set()
    renamed: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        flushed.add(str(Path(f"/proc/self/fd/{fd}").readlink()))
        real_fsync(fd)

    def rename(origin: Path, target: Path) -> None:
        assert str(origin) in flushed, f"{origin} was named before it was flushed"
        flushed.discard(str(target.parent))
        renamed.append(target.name)
        real_rename(origin, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    incoming = Incoming(agent.state, manifest)
    incoming.assemble(agent.source, [agent.deployment], reserve_bytes=0)
    assert set(renamed) == {"model.onnx", "golden.npz", "evidence.json"}
    assert str(incoming.path) in flushed
