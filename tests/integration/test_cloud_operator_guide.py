# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/guides/api.md, run by a shell against a cloud that is served."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_cloud.platform.setup import BrokerPlace
from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.bundle.write import write_bundle
from tests.fakes.bundles import bundle_files, bundle_manifest
from tests.fakes.cloud import served
from tests.fakes.operators import open_operators

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "api.md"
CURL = shutil.which("curl")
PORT = "127.0.0.1:8080"


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Follow the guide from its first line to its last, and give the folder it was done in."""
    if CURL is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("guide")
    files = bundle_files(b"published by hand")
    write_bundle(folder / "fake.bundle", bundle_manifest(files), files)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = BrokerPlace(host="127.0.0.1", port=1, program="mosquitto", state=str(folder / "b"))
    with open_operators(folder) as world, served(world.cloud, port, place) as address:
        script = "\n".join(blocks()).replace(f"http://{PORT}", address)
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
        yield folder


def test_every_command_of_the_guide_works(followed: Path) -> None:
    said = (followed / "said.txt").read_text()
    assert '"taken":2' in said
    assert '"state":"revoked"' in said
    assert (followed / "model.onnx").read_bytes() == b"onnx"
    assert (followed / "input.png").read_bytes().startswith(b"\x89PNG")
    labels = arrays_from_npz((followed / "labels.npz").read_bytes(), max_bytes=10**6, max_arrays=9)
    assert labels["labels"].tolist() == [0]
    (task,) = json.loads((followed / "tasks.json").read_text())
    assert [len(one["result"]) for one in task["annotations"]] == [1, 1]


def test_the_guide_shows_every_part_of_the_api() -> None:
    text = "\n".join(blocks())
    for part in ("devices", "invitations", "models", "releases", "telemetry", "outcomes", "labels"):
        assert f"/v1/{part}" in text
