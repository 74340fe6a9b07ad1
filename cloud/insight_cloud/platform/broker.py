# SPDX-License-Identifier: Apache-2.0
"""The embedded broker: mosquitto where it is installed, else iotcore (rumqttd), as a child.

It listens on this machine alone, unless it is mosquitto with TLS. Its parent is
`broker_child`, which it does not outlive. It is started and stopped here; who starts
it again when it ends is the supervisor's business, and who may connect `Access`'s.
"""

import logging
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from insight_cloud.platform.broker_access import Access, Login, Program
from insight_cloud.platform.broker_config import (
    Tls,
    iotcore_toml,
    is_loopback,
    mosquitto_acl,
    mosquitto_conf,
)
from insight_edge.bundle.durable import replace_file
from insight_edge.documents import enrolment
from insight_edge.errors import ConfigurationError, LinkError

START_S: Final = 15.0
STOP_S: Final = 10.0
GONE_S: Final = 1.0
FREE_PORTS: Final = range(20_000, 32_000)
"""Below those that Linux gives to connections."""

CAVEAT: Final = "no topic ACL, no mutual TLS, no persistence"
"""Of iotcore, to be shown where it starts."""

_CHILD: Final = "insight_cloud.platform.broker_child"
_POLL_S: Final = 0.02
_LOG_BYTES: Final = 2000

_log = logging.getLogger(__name__)


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int


class EmbeddedBroker:
    """A broker in a state folder of its own; one process starts and stops it.

    Args:
        state: folder; made where it is not there.
        host: to listen at.
        port: to listen at; 0 takes a free one and keeps it over restarts of this object.
        program: None takes mosquitto where it is installed.
        tls: certificate and key; mosquitto alone can.

    Raises:
        ConfigurationError: it may not listen there, or the program is not installed.
        StorageError: the folder cannot be written.
    """

    def __init__(
        self,
        state: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        program: Program | None = None,
        tls: Tls | None = None,
    ) -> None:
        self.program: Program = program or ("mosquitto" if _installed() else "iotcore")
        _refuse(self.program, host, tls)
        self.access = Access(state)
        self._state = state.absolute()
        self._tls = tls
        self._address = Address(host, port or _free_port(host))
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Address:
        """Where it listens once it is started."""
        return self._address

    @property
    def caveat(self) -> str | None:
        """What a person should know who relies on this broker."""
        return CAVEAT if self.program == "iotcore" else None

    @property
    def running(self) -> bool:
        """Whether the child is there."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """The child's process id, None before the first start and after a stop."""
        return None if self._child is None else self._child.pid

    def start(self) -> Address:
        """Start it, wait until it accepts connections, and return where.

        Raises:
            ConfigurationError: something else listens there.
            LinkError: it ended, or did not accept connections in time.
            StorageError: its configuration cannot be written.
        """
        self.stop()
        _refuse_taken(self._address)
        config = self._write_config()
        with (self._state / "broker.log").open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD, self.program, config],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._state,
                start_new_session=True,  # a Ctrl-C is the parent's, who stops this in its turn
            )
        self._await()
        if self.caveat is not None:
            _log.warning("the embedded broker is iotcore: %s", self.caveat)
        return self._address

    def stop(self) -> None:
        """End it, and wait until it is gone; nothing where it is not running."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def login_of(self, login: Login, *, ca: str | None = None) -> enrolment.Broker:
        """Return all that a program or device needs to connect."""
        host, port = self._address
        return enrolment.Broker(
            host=host, port=port, username=login.username, password=login.password, ca=ca
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _write_config(self) -> str:
        host, port = self._address
        if self.program == "mosquitto":
            path = self._state / "mosquitto.conf"
            user = pwd.getpwuid(os.getuid()).pw_name
            text = mosquitto_conf(self._state, host, port, user, self._tls)
            replace_file(self._state / "acl", mosquitto_acl().encode(), mode=0o600)
        else:
            path = self._state / "iotcore.toml"
            logins = (self.access.cloud, self.access.shared)
            text = iotcore_toml(host, port, {one.username: one.password for one in logins})
        replace_file(path, text.encode(), mode=0o600)
        return str(path)

    def _await(self) -> None:
        deadline_s = time.monotonic() + START_S
        while self.running and time.monotonic() < deadline_s:
            with suppress(OSError), socket.create_connection(self._address, timeout=1.0):
                return
            time.sleep(_POLL_S)
        ended = not self.running
        self.stop()
        raise LinkError(
            f"the broker {self.program} {'ended' if ended else 'does not answer'}: {self._words()}",
            hint=f"see {self._state / 'broker.log'}",
        )

    def _words(self) -> str:
        said = (self._state / "broker.log").read_bytes()[-_LOG_BYTES:]
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _installed() -> bool:
    return shutil.which("mosquitto") is not None


def _refuse(program: Program, host: str, tls: Tls | None) -> None:
    if program == "mosquitto" and not _installed():
        raise ConfigurationError("mosquitto is not installed", hint="install it, or use iotcore")
    if program == "iotcore" and tls is not None:
        raise ConfigurationError("iotcore speaks no TLS here", hint="install mosquitto")
    if not (is_loopback(host) or tls is not None):
        raise ConfigurationError(
            f"without TLS the broker listens on this machine alone, not at {host}",
            hint="install mosquitto and give it a certificate",
        )


def _free_port(host: str) -> int:
    """Return a port that no connection of this machine gets while the broker is away."""
    for port in random.sample(FREE_PORTS, 100):
        with suppress(ConfigurationError), _bound(Address(host, port)):
            return port
    raise ConfigurationError(f"the broker finds no free port at {host}")


def _refuse_taken(address: Address) -> None:
    """Find out before the child does: a connection to another program would look like success.

    One that was killed a moment ago may take another to be gone.
    """
    deadline_s = time.monotonic() + GONE_S
    while True:
        try:
            _bound(address).close()
        except ConfigurationError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_POLL_S)
        else:
            return


def _bound(address: Address) -> socket.socket:
    host, port = address
    try:
        return socket.create_server(
            address, family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ConfigurationError(
            f"the broker cannot listen at {host}:{port}: {os.strerror(error.errno or 0).lower()}",
            hint="choose another port",
        ) from error
