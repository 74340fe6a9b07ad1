# SPDX-License-Identifier: Apache-2.0
"""The embedded broker as a process: when it is there, whom it lets in, and when it ends."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from insight_cloud.platform.broker import CAVEAT, EmbeddedBroker
from insight_cloud.platform.broker_child import PANICKED
from insight_cloud.platform.broker_config import Tls
from insight_edge.documents.topics import Kind
from insight_edge.errors import ConfigurationError, LinkError
from insight_edge.fleet.link.events import Connected, Declined, Disconnected, Published, Received
from insight_edge.fleet.link.link import Link
from tests.fakes.broker import (
    SWIFT,
    Heard,
    Stranger,
    cloud_login,
    identity,
    identity_of,
    kill,
    linked,
    running_broker,
    stranger,
    until,
)
from tests.fakes.raw_server import loopback_certificate

PARENT = """
import signal, sys
from pathlib import Path
from insight_cloud.platform.broker import EmbeddedBroker
broker = EmbeddedBroker(Path(sys.argv[1]), program=sys.argv[2])
host, port = broker.start()
print(broker.pid, port, flush=True)
signal.pause()
"""

with_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto") is None, reason="mosquitto is not installed"
)
programs = pytest.mark.parametrize(
    "program", ["iotcore", pytest.param("mosquitto", marks=with_mosquitto)]
)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def is_there(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@programs
def test_broker_listens_when_start_returns_and_not_after_stop(tmp_path: Path, program: str) -> None:
    broker = EmbeddedBroker(tmp_path / "state", program=program)  # type: ignore[arg-type]
    for _ in range(2):
        host, port = broker.start()
        assert (host, port) == broker.address
        assert broker.pid is not None
        assert listens(port)
        broker.stop()
        broker.stop()
        assert not listens(port)
    assert not broker.running


@programs
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_broker_ends_with_its_parent(tmp_path: Path, program: str, end: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, port = (int(word) for word in parent.stdout.readline().split())
        assert listens(port)
        parent.send_signal(end)
    until(lambda: not is_there(pid))
    until(lambda: not listens(port))


def test_broker_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, program="iotcore")
    thread = threading.Thread(target=broker.start)
    thread.start()
    thread.join()
    with stranger(cloud_login(broker)):
        assert broker.running
    broker.stop()


def test_port_of_another_program_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = EmbeddedBroker(tmp_path, port=port, program="iotcore")
        with pytest.raises(ConfigurationError, match="cannot listen at 127"):
            broker.start()
        assert not broker.running


def test_broker_that_cannot_run_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("insight_cloud.platform.broker.iotcore_toml", lambda *_: "id = 'no number'")
    with pytest.raises(LinkError, match="the broker iotcore ended: ValueError"):
        EmbeddedBroker(tmp_path, program="iotcore").start()


def test_iotcore_is_shown_with_what_it_lacks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_broker(tmp_path) as broker:
        assert broker.caveat == CAVEAT
    assert CAVEAT in caplog.text


@pytest.fixture
def iotcore(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with running_broker(tmp_path) as broker:
        yield broker


def test_a_router_that_panics_ends_the_broker_so_that_it_can_be_started_again(
    iotcore: EmbeddedBroker,
) -> None:
    """A shared subscription of a lasting session that is lost with messages unconfirmed."""
    doomed = Stranger(cloud_login(iotcore), "doomed", expiry_s=60)
    doomed.client.manual_ack_set(on=True)
    doomed.subscribe("$share/g/x")
    with stranger(cloud_login(iotcore), "other") as other:
        other.publish("x", b"1")
    doomed.next()
    line: Any = doomed.client.socket()
    child = iotcore._child
    assert child is not None
    line.shutdown(socket.SHUT_RDWR)
    assert child.wait(10) == PANICKED
    doomed.client.loop_stop()
    iotcore.start()
    with stranger(cloud_login(iotcore)):
        pass


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path / "state", program="mosquitto") as broker:
        yield broker


@with_mosquitto
def test_mosquitto_keeps_a_device_to_its_own_topics(mosquitto: EmbeddedBroker) -> None:
    one = identity_of(mosquitto, "press-1")
    with (
        stranger(cloud_login(mosquitto), "cloud") as cloud,
        stranger(one.broker, "strange") as strange,
    ):
        cloud.subscribe("ie/v1/+/+/report")
        strange.subscribe("ie/v1/#")  # granted, and in vain
        strange.publish("ie/v1/default/press-2/report", b"forged")
        strange.publish("ie/v1/default/press-1/desired", b"forged")
        strange.publish("ie/v1/default/press-1/report", b"own")
        assert cloud.next() == ("ie/v1/default/press-1/report", b"own")
        cloud.publish("ie/v1/default/press-2/ack", b"for another")
        cloud.publish("ie/v1/default/press-1/ack", b"for you")
        assert strange.next() == ("ie/v1/default/press-1/ack", b"for you")


@with_mosquitto
def test_mosquitto_serves_a_link_and_declines_what_is_not_its_own(
    mosquitto: EmbeddedBroker,
) -> None:
    with linked(mosquitto, "press-1") as (link, heard):
        heard.next(Connected)
        link.publish(Kind.REPORT, b"x")
        heard.next(Published)
    borrowed = identity("press-2", identity_of(mosquitto, "press-1").broker)
    heard = Heard()
    link = Link(borrowed, heard.tell, pace=SWIFT)
    heard.next(Connected)
    link.publish(Kind.REPORT, b"x")
    assert "uthorized" in heard.next(Declined).reason
    link.close()


@with_mosquitto
def test_mosquitto_lets_in_who_is_admitted_later_and_nobody_who_is_expelled(
    mosquitto: EmbeddedBroker,
) -> None:
    with linked(mosquitto, "press-1") as (_, heard):
        heard.next(Connected)
        mosquitto.access.expel("default", "press-1")
        while not any(word in heard.next(Disconnected).reason.lower() for word in ("auth", "bad")):
            pass


@with_mosquitto
def test_mosquitto_keeps_what_is_retained_over_a_restart(mosquitto: EmbeddedBroker) -> None:
    with stranger(cloud_login(mosquitto)) as cloud:
        cloud.publish("ie/v1/default/press-1/desired", b"want", retain=True)
    mosquitto.start()
    with linked(mosquitto, "press-1") as (_, heard):
        assert heard.next(Received).payload == b"want"


@with_mosquitto
def test_mosquitto_comes_back_after_a_kill(mosquitto: EmbeddedBroker) -> None:
    kill(mosquitto)
    mosquitto.start()
    with stranger(cloud_login(mosquitto)):
        pass


@with_mosquitto
def test_mosquitto_speaks_tls_to_devices(tmp_path: Path) -> None:
    certificate, _ = loopback_certificate(tmp_path)
    tls = Tls(certificate, tmp_path / "key.pem")
    with EmbeddedBroker(tmp_path / "state", program="mosquitto", tls=tls) as broker:
        login = broker.access.admit("default", "press-1", "mosquitto")
        heard = Heard()
        me = identity("press-1", broker.login_of(login, ca=certificate.read_text()))
        link = Link(me, heard.tell, pace=SWIFT)
        heard.next(Connected)
        link.publish(Kind.REPORT, bytes(900_000))
        heard.next(Published)
        link.close()
