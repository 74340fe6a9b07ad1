# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/guides/measuring-on-devices.md, run by a shell while devices answer."""

import os
import re
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from insight_cloud.accounts.rules import Role
from insight_cloud.builds.profiles import known_profiles
from insight_cloud.platform.clock import now
from insight_cloud.platform.setup import BrokerPlace
from insight_edge.bundle.write import write_bundle
from insight_edge.documents.codec import decode_json
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.result import BenchResult
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.cloud import Cloud, open_cloud, served
from tests.fakes.console_world import facts_of
from tests.fakes.fleet_devices import birth, told
from tests.fakes.measuring_world import answering, job_result

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "measuring-on-devices.md"
CURL = shutil.which("curl")
PORT = "127.0.0.1:8080"
PROFILE, DEVICES = "rpi5-8gb", ("line-1", "line-2")


def fill(cloud: Cloud, folder: Path) -> None:
    """Let there be devices of the guide's profile, and the bundle that it measures."""
    profiles, at = known_profiles(cloud.settings.profiles_path), now()
    for name in DEVICES:
        token = cloud.devices.invite(name, by="test", expires=at + timedelta(hours=1), now=at)
        facts = facts_of(profiles[PROFILE])
        asked = EnrolmentRequest(
            token=token, facts=facts, profile=PROFILE, deployments=("default",)
        )
        cloud.devices.enrol(asked, profiles=profiles, now=at)
        cloud.devices.hear(told(birth(device=name), device=name), at)
    files = bundle_files()
    manifest = bundle_manifest(files)
    model = ModelInfo(name="digits", version=2, digest=manifest.model.digest)
    made = msgspec.structs.replace(manifest, model=model, profile=PROFILE)
    write_bundle(folder / "b", made, files)
    cloud.releases.publish(folder / "b", by="Ada", now=at)
    cloud.accounts.create_user("kim", "one of many plain words", Role.ADMIN, by="test", now=at)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Follow the guide from its first line to its last, and give the folder it was done in."""
    if CURL is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("guide")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = BrokerPlace(host="127.0.0.1", port=1, program="mosquitto", state=str(folder / "br"))
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    with open_cloud(folder / "cloud") as cloud:
        fill(cloud, folder)
        with served(cloud, port, place) as address, answering(cloud.jobs, job_result):
            script = "\n".join(blocks).replace(f"http://{PORT}", address)
            script = script.replace("user token my-laptop", "user token my-laptop --user kim")
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            done = subprocess.run(
                ["bash", "-euxo", "pipefail", "-c", script],
                cwd=folder,
                env=os.environ | {"PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    (folder / "said.txt").write_text(done.stdout)
    return folder


def devices_in(file: Path) -> list[str]:
    return [decode_json(BenchResult, line).device for line in file.read_bytes().splitlines()]


def test_every_command_of_the_guide_works(followed: Path) -> None:
    assert devices_in(followed / "results.jsonl") == ["line-1", "line-2"]
    assert devices_in(followed / "all.jsonl")[:2] == ["line-1", "line-2"]
    said = (followed / "said.txt").read_text()
    assert "slowest over fastest" in said
    assert "is running" in said or "is done" in said
