# SPDX-License-Identifier: Apache-2.0
"""`insight-edge serve` in a process of its own, asked through real sockets."""

import gzip
import json
import signal
import socket
import ssl
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from insight_edge.runtime.infer import Runtime
from tests.fakes.matrix import COLUMNS, random_matrix
from tests.fakes.programs import insight_edge
from tests.fakes.raw_server import loopback_certificate
from tests.fakes.served import (
    INFER,
    Reply,
    Served,
    asking,
    asking_body,
    left,
    receive,
    request,
    write_served_bundle,
)

STATUSES = {200, 400, 404, 405, 406, 413, 415, 417, 421, 431, 501, 505}
ROWS = random_matrix(3).reshape(-1, COLUMNS)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served") / "3"
    write_served_bundle(place, 3)
    return place


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Served]:
    with Served(bundle, "--port", "0", "--threads", "1") as served:
        yield served
    assert served.process.returncode == 0


def outputs_of(reply: Reply) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    assert reply.status == 200, reply.body
    [output] = reply.json["outputs"]
    assert (output["name"], output["datatype"]) == ("y", "FP32")
    if "data" in output:
        found = np.array(output["data"], np.float32)
    else:
        at = int(reply.fields["inference-header-content-length"])
        assert len(reply.body) - at == output["parameters"]["binary_data_size"]
        found = np.frombuffer(reply.body[at:], np.float32)
    return found.reshape(output["shape"])


def test_answers_are_those_of_the_runtime(server: Served, bundle: Path) -> None:
    with Runtime.open(bundle, allow_unsigned=True, threads=1) as runtime:
        result = runtime.infer({"x": ROWS})
    for more in ({}, {"parameters": {"binary_data_output": True}}):
        for binary in (False, True):
            reply = server.ask(asking(ROWS, binary=binary, **more))
            assert np.array_equal(outputs_of(reply), result.outputs["y"])
            assert reply.json["parameters"]["bundle"] == result.bundle
            assert reply.json["model_version"] == "3"


def test_result_has_an_id_and_tells_flags_when_asked(server: Served) -> None:
    first, second = (server.ask(asking(id="mine")).json for _ in range(2))
    assert first["id"] == "mine"
    assert first["parameters"]["result"] != second["parameters"]["result"]
    assert "flags" not in first["parameters"]
    odd = np.full((1, COLUMNS), np.nan, np.float32)
    reply = server.ask(asking(odd, binary=True, parameters={"flags": True}, outputs=[
        {"name": "y", "parameters": {"binary_data": True}}]))  # fmt: skip
    assert reply.json["parameters"]["flags"] == "INPUT_NAN"
    assert server.ask(asking(parameters={"flags": True})).json["parameters"]["flags"] == ""


def test_output_that_json_cannot_tell_is_refused_as_json(server: Served) -> None:
    odd = np.full((1, COLUMNS), np.nan, np.float32)
    reply = server.ask(asking(odd, binary=True))
    assert (reply.status, reply.json["error"].partition(";")[0]) == (
        406, "output 'y' holds NaN or infinity, for which JSON has no word",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/matrix/ready", {"name": "matrix", "ready": True}),
        ("/v2/models/matrix/versions/3/ready", {"name": "matrix", "ready": True}),
    ],
)
def test_health_is_told(server: Served, path: str, expected: object) -> None:
    reply = server.ask(request(path))
    assert (reply.status, reply.json) == (200, expected)


def test_metadata_is_that_of_the_manifest(server: Served) -> None:
    assert "binary_tensor_data" in server.ask(request("/v2")).json["extensions"]
    told = server.ask(request("/v2/models/matrix")).json
    assert (told["name"], told["versions"], told["platform"]) == ("matrix", ["3"], "onnxruntime")
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, COLUMNS]}]
    assert told["parameters"]["signed"] is False
    [entry] = server.ask(request("/v2/repository/index", method="POST")).json
    assert (entry["name"], entry["version"], entry["state"]) == ("matrix", "3", "READY")


def test_what_was_asked_is_counted(server: Served) -> None:
    before = server.ask(request("/v2/models/matrix/stats")).json["model_stats"]
    count = before[0]["execution_count"] if before else 0
    server.ask(asking(np.ones((5, COLUMNS), np.float32)))
    server.ask(asking(np.ones((1, 3), np.float32)))
    [after] = server.ask(request("/v2/models/stats")).json["model_stats"]
    assert after["execution_count"] == count + 1
    assert after["inference_stats"]["fail"]["count"] >= 1
    metrics = server.ask(request("/metrics"))
    assert metrics.fields["content-type"].startswith("text/plain; version=0.0.4")
    line = f'insight_edge_serve_rows_total{{model="matrix",version="3"}} {after["inference_count"]}'
    assert line in metrics.body.decode().splitlines()


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (request("/v2/models/other/infer", b"{}"), 404, "'matrix' serves"),
        (request("/v2/models/matrix/versions/2/infer", b"{}"), 404, "version 3 does"),
        (request("/v2/models/matrix/infer"), 405, "POST"),
        (request("/nowhere"), 404, "no such address"),
        (request(INFER, b"{"), 400, "request: "),
        (request(INFER, b"{}"), 400, "inputs"),
        (asking(np.ones((1, 3), np.float32)), 400, "input 'x': expected float32 (batch, 8)"),
        (asking(outputs=[{"name": "z"}]), 400, "no output 'z'; outputs: y"),
        (asking().replace(b"FP32", b"FP64"), 400, "input 'x': expected float32, found float64"),
        (asking().replace(b'"x"', b'"w"'), 400, "input 'x' is missing"),
        (request(INFER, b"{}", "Content-Encoding: br"), 415, "gzip or deflate"),
        (request(INFER, b"{}", "Inference-Header-Content-Length: 9"), 400, "of a body of 2"),
        (request(INFER, b"{}", "Inference-Header-Content-Length: x"), 400, "not a length"),
        (request("/v2", host="evil.example"), 421, "own machine"),
        (request("/v2", b"", "Origin: http://evil.example"), 403, "another site"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        (request(INFER, b"", "Content-Length: 999999999999"), 400, "twice"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n", 413, "longer"),
    ],
)
def test_mistake_is_one_line_with_the_right_status(
    server: Served, data: bytes, status: int, said: str
) -> None:
    reply = server.ask(data)
    assert (reply.status, list(reply.json)) == (status, ["error"])
    assert said in reply.json["error"]


def test_bodies_may_be_compressed_both_ways(server: Served) -> None:
    body, *fields = asking_body(ROWS, binary=True)
    for coding, pack, unpack in (
        ("gzip", gzip.compress, gzip.decompress),
        ("deflate", zlib.compress, zlib.decompress),
    ):
        told = (f"Content-Encoding: {coding}", f"Accept-Encoding: {coding}", *fields)
        reply = server.ask(request(INFER, pack(body), *told))
        assert reply.fields["content-encoding"] == coding
        plain = reply._replace(body=unpack(reply.body))
        assert outputs_of(plain).shape == (len(ROWS), 4)


def test_body_may_come_in_chunks(server: Served) -> None:
    body, *fields = asking_body(ROWS, binary=True)
    pieces = [body[at : at + 10] for at in range(0, len(body), 10)]
    told = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    reply = server.ask(request(INFER, told, "Transfer-Encoding: chunked", *fields))
    assert len(outputs_of(reply)) == len(ROWS)


def test_pipelined_requests_are_answered_in_order(server: Served) -> None:
    asked = [asking(id=str(number)) for number in range(300)]
    asked[7] = request("/v2/health/live")
    with server.connect() as client:
        client.sendall(b"".join(asked))
        buffer = bytearray()
        replies = [receive(client, buffer) for _ in asked]
    ids = [reply.json.get("id") for reply in replies]
    assert ids == [None if number == 7 else str(number) for number in range(300)]


def test_one_byte_at_a_time_is_a_request(server: Served) -> None:
    with server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in asking():
            client.sendall(bytes([byte]))
        assert receive(client).status == 200


def test_client_that_says_at_once_that_it_was_all_is_answered(server: Served) -> None:
    with server.connect() as client:
        client.sendall(asking(id="1") + asking(id="2"))
        client.shutdown(socket.SHUT_WR)
        buffer = bytearray()
        assert [receive(client, buffer).json["id"] for _ in range(2)] == ["1", "2"]
        assert left(client) == b""


def test_client_that_waits_to_be_told_is_told(server: Served) -> None:
    body, *fields = asking_body()
    told = request(INFER, body, "Expect: 100-continue", *fields)
    with server.connect() as client:
        client.sendall(told[: -len(body)])
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert receive(client).status == 200


def test_large_body_that_is_refused_is_told_so(server: Served) -> None:
    """A server that closed at once would reset the connection before its answer was read."""
    with server.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
        client.sendall(bytes(1_000_000))
        assert receive(client).status == 413


def test_bytes_of_any_kind_end_nothing(server: Served) -> None:
    chance = np.random.default_rng(11)
    whole = asking(ROWS, binary=True)
    for _ in range(150):
        data = bytearray(whole)
        for at in chance.integers(0, len(data), 4):
            data[at] = chance.integers(0, 256)
        with server.connect() as client:
            client.sendall(bytes(data[: chance.integers(1, len(data) + 1)]))
            client.shutdown(socket.SHUT_WR)
            answer = left(client)
        assert answer == b"" or int(answer.split(b" ")[1]) in STATUSES
    assert server.ask(asking()).status == 200


def test_unix_socket_is_of_this_user_alone_and_goes_with_the_server(
    bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / ("a" * 120) / "serve.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "s"))
    (tmp_path / "s").rename(path)
    with Served(bundle, "--socket", path) as served:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            (tmp_path / "short").symlink_to(path)
            client.connect(str(tmp_path / "short"))
            client.sendall(request("/v2/health/ready", host="any.example"))
            assert receive(client).status == 200
        again = insight_edge("serve", bundle, "--socket", path, cwd=tmp_path)
        assert (again.returncode, "another server listens" in again.stderr) == (2, True)
        assert served.end() == 0
    assert not path.exists()


def test_file_that_is_no_socket_is_left_alone(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    done = insight_edge("serve", bundle, "--socket", tmp_path / "mine", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "mine").read_text()) == (2, "kept")


def test_port_that_is_taken_is_one_line(bundle: Path, tmp_path: Path, server: Served) -> None:
    port = server.address.rpartition(":")[2]
    done = insight_edge("serve", bundle, "--port", port, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) <= 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_request_under_way_is_answered_before_the_end(bundle: Path, number: int) -> None:
    told = asking(ROWS, binary=True)
    with Served(bundle, "--port", "0") as served:
        with served.connect() as idle, served.connect() as client:
            client.sendall(told[:-5])
            idle.sendall(request("/v2/health/live"))
            assert receive(idle).status == 200
            served.process.send_signal(number)
            assert left(idle) == b""
            with pytest.raises(ConnectionRefusedError):
                served.connect()
            client.sendall(told[-5:])
            reply = receive(client)
            assert (reply.status, reply.fields["connection"]) == (200, "close")
        assert served.end() == 0


def test_unsigned_bundle_is_called_so(bundle: Path) -> None:
    with Served(bundle, "--port", "0", "--name", "mine") as served:
        assert served.ask(request("/v2/models/mine/ready")).status == 200
    assert "matrix version 3 (unsigned)" in served.said


def test_flags_that_cannot_be_meant_are_refused(bundle: Path, tmp_path: Path) -> None:
    for words in ((), (bundle, "--state", tmp_path), (bundle, "--calls", "0")):
        done = insight_edge("serve", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")


def test_json_names_are_utf8(server: Served) -> None:
    told = asking(id="caf\u00e9 \u2603").replace(rb"caf\u00e9", "caf\u00e9".encode())
    body = told.partition(b"\r\n\r\n")[2]
    reply = server.ask(request(INFER, body))
    assert json.loads(reply.body)["id"] == "caf\u00e9 \u2603"


def test_network_is_served_with_tls_and_a_token_that_nobody_reads(
    bundle: Path, tmp_path: Path
) -> None:
    certificate, _ = loopback_certificate(tmp_path)
    token = tmp_path / "token"
    token.write_text("a-token-of-many-characters")
    token.chmod(0o600)
    words = ("--host", "0.0.0.0", "--certificate", certificate, "--key", tmp_path / "key.pem")  # noqa: S104
    context = ssl.create_default_context(cafile=str(certificate))
    with Served(bundle, "--port", "0", *words, "--token-file", token) as served:
        told = asking(ROWS, binary=True)
        for shown, status in (("a-token-of-many-characters", 200), ("another-token", 401)):
            with (
                served.connect() as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
            ):
                field = f"\r\nAuthorization: Bearer {shown}\r\n\r\n".encode()
                client.sendall(told.replace(b"\r\n\r\n", field, 1))
                assert receive(client).status == status
        assert served.address.startswith("https://")
        assert served.end() == 0
    assert "many-characters" not in served.said
    assert "many-characters" not in served.address
