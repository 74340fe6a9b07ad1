# SPDX-License-Identifier: Apache-2.0
"""Whatever becomes of a request, there is an answer to it, and it is counted."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from insight_edge.errors import InferenceFailedError
from insight_edge.runtime.infer import Runtime
from insight_edge.serve.answering import Engine
from insight_edge.serve.calls import Calls
from insight_edge.serve.desk import Desk
from insight_edge.serve.framing import Request
from insight_edge.serve.head import head_from_bytes
from insight_edge.serve.pace import LOOKED_AT
from insight_edge.serve.refusal import Response
from tests.fakes.matrix import COLUMNS, MatrixEngine, install, tagged_matrix, write_matrix_bundle

INFER = "/v2/models/matrix/infer"
ROW = {"name": "x", "shape": [1, COLUMNS], "datatype": "FP32", "data": [1.0] * COLUMNS}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def runtime(engine: MatrixEngine, tmp_path: Path) -> Iterator[Runtime]:
    write_matrix_bundle(tmp_path / "1", tagged_matrix(1))
    with Runtime.open(tmp_path / "1", allow_unsigned=True) as opened:
        yield opened
    assert engine.live == 0


def ask_all(engine: Engine, *paths: str, body: Any = None) -> list[Response]:
    """Return what a desk answers, one after the other; an infer where there is a body."""

    async def ask() -> list[Response]:
        loop = asyncio.get_running_loop()
        calls = Calls[Any](loop, threads=1, waiting=1)
        desk = Desk(engine, None, calls, 1 << 20)
        found = []
        for path in paths:
            later: asyncio.Future[Response] = loop.create_future()
            response = desk.take(asked(path, body), later.set_result)
            found.append(await later if response is None else response)
        calls.close()
        return found

    return asyncio.run(ask())


def asked(path: str, body: Any) -> Request:
    method = "POST" if path.endswith("infer") else "GET"
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return Request(head_from_bytes(head.encode()), json.dumps(body).encode())


def test_failing_engine_is_one_line_and_counted(runtime: Runtime, engine: MatrixEngine) -> None:
    engine.failing = True
    answer, stats = ask_all(runtime, INFER, "/v2/models/stats", body={"inputs": [ROW]})
    assert answer.status == 500
    assert "ArithmeticError: planted" in json.loads(answer.body)["error"]
    [model] = json.loads(stats.body)["model_stats"]
    assert (model["execution_count"], model["inference_stats"]["fail"]["count"]) == (0, 1)


def test_calls_that_were_short_are_made_at_once_and_answer_alike(runtime: Runtime) -> None:
    answers = ask_all(runtime, *[INFER] * (3 * LOOKED_AT), body={"inputs": [ROW]})
    outputs = [json.loads(answer.body)["outputs"] for answer in answers]
    assert outputs == [outputs[0]] * (3 * LOOKED_AT)
    assert outputs[0][0]["data"] == [1.0] * 4


def test_what_breaks_inside_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        @property
        def served(self) -> Any:
            raise KeyError("secret of the house")

        def infer(self, inputs: Any, key: str | None = None) -> Any:
            raise InferenceFailedError(f"{inputs} {key}")

    with caplog.at_level(logging.ERROR):
        answers = ask_all(Broken(), "/v2/models/matrix", INFER, "/v2/health/live")
    assert [answer.status for answer in answers] == [500, 500, 200]
    assert "secret" not in answers[0].body.decode()
    assert "secret of the house" in caplog.text


def test_version_swapped_away_between_two_looks_is_not_answered_by_another(
    runtime: Runtime,
) -> None:
    class Swapped:
        """Serves version 0 when it is looked at, and version 7 when it is asked."""

        served = runtime.served

        def infer(self, inputs: dict[str, np.ndarray[Any, Any]], key: str | None = None) -> Any:
            result = runtime.infer(inputs, key)
            return msgspec.structs.replace(
                result, origin=msgspec.structs.replace(result.origin, version=7)
            )

    pinned = "/v2/models/matrix/versions/0/infer"
    answer, anyone = ask_all(Swapped(), pinned, INFER, body={"inputs": [ROW]})
    assert (answer.status, anyone.status) == (404, 200)
    assert json.loads(anyone.body)["model_version"] == "7"
