# SPDX-License-Identifier: Apache-2.0
"""A device without an application: the agent keeps a server, and rollouts reach whoever asks it."""

import json
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from insight_edge.bundle.socket_address import socket_address
from insight_edge.fleet.identity import identity_of
from insight_edge.fleet.serving.process import Process
from tests.fakes.fleet_world import DEPLOYMENT, Fleet, now, small_fleet
from tests.fakes.matrix import COLUMNS
from tests.fakes.programs import program
from tests.fakes.served import Reply, asking, receive, request, write_served_bundle

pytestmark = pytest.mark.slow

ROWS = np.ones((1, COLUMNS), np.float32)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with small_fleet(tmp_path) as made:
        yield made
        Process(made.place).signal(signal.SIGKILL)


def serve(fleet: Fleet, *words: str) -> str:
    """Say `agent serve` of the deployment, and return what it said."""
    command = [program("insight-edge"), "agent", "serve", DEPLOYMENT, "--state", str(fleet.state)]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    return f"{done.returncode} {done.stderr.strip()}"


def publish(fleet: Fleet, tag: int) -> str:
    path = fleet.folder / f"served-{tag}"
    write_served_bundle(path, tag, profile=identity_of(fleet.state).profile)
    return fleet.cloud.releases.publish(path, by="Ada", now=now()).bundle


def ask(path: Path, words: bytes) -> Reply | None:
    """Return the answer of the server; None where there is none."""
    with socket_address(path) as address, socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(address)
            client.sendall(words)
            return receive(client)
        except OSError:
            return None


def ready(path: Path) -> bool:
    reply = ask(path, request("/v2/health/ready"))
    return reply is not None and reply.status == 200


def test_rollouts_reach_who_asks_the_server_and_it_outlives_its_agent(fleet: Fleet) -> None:
    path = fleet.folder / "edge.sock"
    first, second = publish(fleet, 1), publish(fleet, 2)
    assert (
        serve(fleet, "--socket", str(path)) == f"0 {DEPLOYMENT}: the agent keeps a server on {path}"
    )
    fleet.want(first)
    fleet.until(lambda: ready(path))
    answered: Counter[tuple[str, float]] = Counter()
    stop = threading.Event()

    def ask_on() -> None:
        while not stop.wait(0.002):
            reply = ask(path, asking(ROWS))
            assert reply is not None
            assert reply.status == 200
            found = json.loads(reply.body)
            answered[found["model_version"], found["outputs"][0]["data"][0]] += 1

    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        fleet.want(second)
        fleet.until(lambda: fleet.standing().committed == second)
        fleet.kill_agent()
        before = answered.total()
        fleet.until(lambda: answered.total() > before + 20)
        fleet.start_agent()
        fleet.until(lambda: fleet.standing().attached)
    finally:
        stop.set()
        thread.join()
    assert set(answered) == {("1", 1.0), ("2", 2.0)}
    assert serve(fleet, "--off").startswith("0 ")
    fleet.until(lambda: Process(fleet.place).plan() is None and not path.exists())
