# SPDX-License-Identifier: Apache-2.0
"""An agent swaps the bundle under a server: no request is dropped, no answer is mixed."""

import http.client
import json
import threading
from pathlib import Path

from insight_edge.bundle.slots import Slots
from insight_edge.documents.host import Activated
from tests.fakes.agent import Agent
from tests.fakes.served import INFER, Served, asking, asking_body, request, write_served_bundle

CLIENTS, SWAPS = 4, 8
SERVE = ("--port", "0", "--threads", "1", "--allow-unsigned")


def device(place: Path) -> tuple[Path, dict[str, str]]:
    """Return a state directory with version 1 committed and 2 beside it, and their digests."""
    slots = Slots(place / "state")
    digests = {str(tag): write_served_bundle(place / str(tag), tag) for tag in (1, 2)}
    slots.commit(slots.stage(place / "1"))
    slots.stage(place / "2")
    return place / "state", digests


class Client(threading.Thread):
    """Asks without pause on connections that stay, half of the time in bytes.

    Attributes:
        told: version, digest, and first number of each answer.
        failed: whatever was no answer.
    """

    def __init__(self, address: str, stop: threading.Event) -> None:
        super().__init__()
        self.told: list[tuple[str, str, float]] = []
        self.failed: list[object] = []
        self._host = address.removeprefix("http://")
        self._stopping = stop

    def run(self) -> None:
        body, *fields = asking_body(binary=True)
        headers = dict(field.split(": ", 1) for field in fields)
        connection = http.client.HTTPConnection(self._host, timeout=30)
        while not self._stopping.is_set():
            try:
                connection.request("POST", INFER, body, headers)
                response = connection.getresponse()
                self._keep(response.status, json.loads(response.read()))
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failed.append(error)
        connection.close()

    def _keep(self, status: int, answer: dict[str, object]) -> None:
        if status != 200:
            self.failed.append(answer)
            return
        parameters, outputs = answer["parameters"], answer["outputs"]
        assert isinstance(parameters, dict)
        assert isinstance(outputs, list)
        self.told.append(
            (str(answer["model_version"]), parameters["bundle"], outputs[0]["data"][0])
        )


def test_nothing_is_dropped_or_mixed_while_the_agent_swaps(tmp_path: Path) -> None:
    state, digests = device(tmp_path)
    with Served("--state", state, *SERVE) as served:
        stop = threading.Event()
        clients = [Client(served.address, stop) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            with Agent(state) as agent:
                agent.hello()
                for number in range(SWAPS):
                    assert isinstance(agent.activate("ba"[number % 2]), Activated)
        finally:
            stop.set()
            for client in clients:
                client.join()
        assert served.end() == 0
    assert [client.failed for client in clients] == [[]] * CLIENTS
    told = [one for client in clients for one in client.told]
    assert {version for version, _, _ in told} == {"1", "2"}
    assert [one for one in told if one[1:] != (digests[one[0]], float(one[0]))] == []


def test_version_that_is_asked_for_is_the_one_that_answers(tmp_path: Path) -> None:
    state, _ = device(tmp_path)
    with Served("--state", state, *SERVE) as served, Agent(state) as agent:
        agent.hello()
        pinned = asking().replace(b"/infer", b"/versions/2/infer")
        assert served.ask(pinned).status == 404
        agent.activate("b")
        assert served.ask(pinned).json["model_version"] == "2"


def test_device_without_a_bundle_is_alive_and_not_ready(tmp_path: Path) -> None:
    with Served("--state", tmp_path, *SERVE) as served, Agent(tmp_path) as agent:
        assert served.ask(request("/v2/health/live")).status == 200
        assert served.ask(request("/v2/health/ready")).status == 503
        reply = served.ask(asking())
        assert (reply.status, reply.fields["retry-after"]) == (503, "1")
        assert served.ask(request("/v2/repository/index", method="POST")).json == []
        agent.hello()
        slots = Slots(tmp_path)
        write_served_bundle(tmp_path / "1", 1)
        agent.activate(slots.stage(tmp_path / "1"))
        assert served.ask(asking()).json["model_version"] == "1"
    assert "nothing serves yet" in served.said


def test_key_of_a_request_goes_with_its_prediction(tmp_path: Path) -> None:
    state, _ = device(tmp_path)
    with Served("--state", state, *SERVE) as served, Agent(state) as agent:
        agent.hello()
        told = served.ask(asking(parameters={"key": "part-7"})).json["parameters"]
        [row] = agent.predictions()
        assert (row.id, row.key, row.bundle) == (told["result"], "part-7", told["bundle"])
