# SPDX-License-Identifier: Apache-2.0
"""The client that times servers takes whole answers alone, and forms are read as asked."""

import json
import socket
from contextlib import closing

import numpy as np
import pytest

from benchmarks.asking import Asker
from benchmarks.serving_forms import BENTOML, LITSERVE, RAW, binary_form, numbers, v2_form
from insight_edge.documents.open_inference_body import question_from_body
from insight_edge.errors import MeasurementError
from tests.fakes.raw_server import RawServer

ROWS = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)


def answer(body: bytes, line: str = "HTTP/1.1 200 OK", field: str = "Content-Length") -> bytes:
    return f"{line}\r\nX: y\r\n{field}: {len(body)}\r\n\r\n".encode() + body


def ask(said: bytes) -> bytes:
    with RawServer(said) as server:
        port = int(server.url.rpartition(":")[2])
        with closing(Asker(port)) as asker:
            return asker(b"GET / HTTP/1.1\r\n\r\n")


def test_answer_is_its_body() -> None:
    assert ask(answer(b"a" * 100_000, field="content-LENGTH")) == b"a" * 100_000


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (answer(b"", line="HTTP/1.1 503 Busy"), MeasurementError),
        (answer(b"a", field="Other"), MeasurementError),
        (answer(b"abc")[:-1], ConnectionError),
        (b"HTTP/1.1 200", ConnectionError),
    ],
)
def test_anything_else_is_no_measurement(said: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(said)


def test_requests_say_what_rows_are() -> None:
    for form, binary in ((v2_form("m"), False), (binary_form("m", 2), True)):
        body, fields = form.body(ROWS)
        length = int(fields["Inference-Header-Content-Length"]) if binary else None
        assert np.array_equal(question_from_body(body, length).inputs["x"], ROWS)
    assert np.array_equal(np.array(numbers(ROWS), np.float32), ROWS)
    for form in (LITSERVE, BENTOML):
        assert np.array_equal(np.array(json.loads(form.body(ROWS)[0])["x"], np.float32), ROWS)


def test_answers_are_read() -> None:
    y = np.array([1, 2], np.float32)
    assert v2_form("m").read(b'{"outputs": [{"data": [1, 2]}]}') == [1, 2]
    for form in (binary_form("m", 2), RAW):
        assert np.array_equal(form.read(y.tobytes()), y)
    assert LITSERVE.read(b'{"y": [[1, 2]]}') == [[1, 2]]
    assert BENTOML.read(b"[[1, 2]]") == [[1, 2]]


def test_nobody_there_is_an_error_of_the_system() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        Asker(port)(b"")
