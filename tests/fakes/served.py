# SPDX-License-Identifier: Apache-2.0
"""A server in a process of its own, bundles for it to serve, and a client that knows only bytes."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from insight_edge.documents.codec import digest
from insight_edge.documents.manifest import ModelInfo
from tests.fakes.matrix import CLASSES, COLUMNS, tagged_matrix, write_matrix_bundle
from tests.fakes.onnx_models import model_of, value
from tests.fakes.programs import program

TIMEOUT_S = 60.0
MODEL = "matrix"
INFER = f"/v2/models/{MODEL}/infer"


def write_served_bundle(directory: Path, tag: int, **changes: Any) -> str:
    """Write a bundle of ONNX Runtime, version `tag`, that answers a row of ones with `tag`.

    Fields of its manifest may be changed.
    """
    matrix = tagged_matrix(tag)
    model = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", ("batch", COLUMNS))],
        [value("y", ("batch", CLASSES))],
        {"w": matrix},
    ).SerializeToString()
    info = ModelInfo(name=MODEL, version=tag, digest=digest(model))
    return write_matrix_bundle(
        directory, matrix, backend="onnxruntime", artifact=model, model=info, **changes
    )


class Reply(NamedTuple):
    """An answer; names of fields in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        length = self.fields.get("inference-header-content-length", str(len(self.body)))
        return json.loads(self.body[: int(length)])


class Served:
    """`insight-edge serve` with these words, from `__enter__` until it is told to end.

    Args:
        words: its arguments.
        command: what to run instead of the program.

    Attributes:
        address: that it printed.
        said: on stderr, once it has ended.
    """

    def __init__(self, *words: str | Path, command: Sequence[str] = ()) -> None:
        start = command or (program("insight-edge"), "serve")
        self.process = subprocess.Popen(
            [*start, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said = ""

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            raise AssertionError(self.process.communicate(timeout=TIMEOUT_S)[1])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end and return what it exited with."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        if not self.said:
            self.said = self.process.communicate(timeout=TIMEOUT_S)[1]
        assert "Traceback" not in self.said, self.said
        return self.process.returncode

    def connect(self) -> socket.socket:
        if self.address.startswith("unix:"):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(TIMEOUT_S)
            client.connect(self.address.removeprefix("unix:"))
            return client
        [port] = re.findall(r":(\d+)$", self.address)
        return socket.create_connection(("127.0.0.1", int(port)), timeout=TIMEOUT_S)

    def ask(self, data: bytes) -> Reply:
        """Return the answer to what is said on a connection of its own."""
        with self.connect() as client:
            client.sendall(data)
            return receive(client)


def receive(client: socket.socket, buffer: bytearray | None = None) -> Reply:
    """Return the next answer; what came after it stays in `buffer`."""
    data = bytearray() if buffer is None else buffer
    while b"\r\n\r\n" not in data:
        data += _more(client)
    head, _, _ = bytes(data).partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    fields = {name.lower(): text.strip() for name, _, text in (one.partition(":") for one in rest)}
    whole = len(head) + 4 + int(fields["content-length"])
    while len(data) < whole:
        data += _more(client)
    body = bytes(data[len(head) + 4 : whole])
    del data[:whole]
    return Reply(int(line.split()[1]), fields, body)


def left(client: socket.socket) -> bytes:
    """Return all that comes until the server hangs up."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def request(
    path: str, body: bytes = b"", *fields: str, method: str | None = None, host: str = "localhost"
) -> bytes:
    """Return a request; a POST where it has a body."""
    method = method or ("POST" if body else "GET")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    if not any(field.startswith("Transfer-Encoding") for field in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def asking(rows: NDArray[Any] | None = None, *, binary: bool = False, **more: Any) -> bytes:
    """Return a request of infer with rows, of ones where none are given."""
    body, *fields = asking_body(rows, binary=binary, **more)
    return request(INFER, body, *fields)


def asking_body(
    rows: NDArray[Any] | None = None, *, binary: bool = False, **more: Any
) -> tuple[bytes, *tuple[str, ...]]:
    """Return a body, and the fields that it needs."""
    rows = np.ones((1, COLUMNS), np.float32) if rows is None else rows
    tensor: dict[str, Any] = {"name": "x", "shape": rows.shape, "datatype": "FP32"}
    if not binary:
        tensor["data"] = rows.ravel().tolist()
        return (json.dumps({"inputs": [tensor], **more}).encode(),)
    tensor["parameters"] = {"binary_data_size": rows.nbytes}
    head = json.dumps({"inputs": [tensor], **more}).encode()
    return head + rows.tobytes(), f"Inference-Header-Content-Length: {len(head)}"


def _more(client: socket.socket) -> bytes:
    part = client.recv(65536)
    if not part:
        raise ConnectionError("the server hung up")
    return part


HASTY = (sys.executable, "-m", "tests.fakes.hasty_server")
