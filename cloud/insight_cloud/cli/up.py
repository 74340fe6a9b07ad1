# SPDX-License-Identifier: Apache-2.0
"""Verb `up`: a whole cloud on one machine."""

import logging
import secrets
import signal
import threading
from pathlib import Path

import msgspec

from insight_cloud.accounts.service import FIRST_USER, Accounts
from insight_cloud.cli.opening import State, settings_of
from insight_cloud.cli.screen import err
from insight_cloud.installation import open_installation
from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.clock import now
from insight_cloud.platform.settings import Settings
from insight_cloud.platform.setup import BrokerPlace, Setup
from insight_cloud.platform.supervising import Program, supervise
from insight_cloud.releases.keys import init_keys
from insight_edge.bundle.durable import replace_file, storing
from insight_edge.errors import InsightEdgeError

FIRST_PASSWORD = "first-password"  # noqa: S105 - the name of a file
"""File of the installation that holds the password of the first user."""

PROCESSES = {
    "api": "insight_cloud.app.main",
    "ingester": "insight_cloud.worker.ingester",
    "worker": "insight_cloud.worker.main",
}

_log = logging.getLogger(__name__)


def up(*, state: State = None, port: int = 8080, broker_port: int = 1883) -> None:
    """Run broker, HTTP door, ingester and worker on this machine, until it is stopped.

    Everything listens on loopback alone. A new installation gets its database and keys.

    Args:
        state: folder of this installation.
        port: of the HTTP door.
        broker_port: of the broker.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    settings = settings_of(state)
    _prepare(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder = settings.state / "broker"
    with EmbeddedBroker(folder, port=broker_port) as broker:
        setup = _setup(settings, port, broker)
        err.print(f"console: {setup.address}/{_first_password_at(settings.state)}")
        err.print(f"devices enrol at {setup.address}; their broker is {broker.program}")
        if broker.caveat is not None:
            err.print(f"of this broker: {broker.caveat}")
        line = msgspec.json.encode(setup)
        programs = [Program(name=n, module=m, setup=line) for n, m in PROCESSES.items()]
        supervise(programs, stop, lambda: _keep(broker))


def _prepare(settings: Settings) -> None:
    if not settings.keys_path.exists():
        init_keys(settings.keys_path)
    with open_installation(settings) as cloud:
        cloud.releases.renew(now=now())
        keep_first_user(settings.state / FIRST_PASSWORD, cloud.accounts)


def keep_first_user(path: Path, accounts: Accounts) -> None:
    """Make the first user where there is none; forget a first password that counts no longer.

    Raises:
        StorageError: the file of the password cannot be written or read.
    """
    if accounts.users():
        with storing(path):
            if path.exists() and not accounts.has_password(FIRST_USER, path.read_text("ascii")):
                path.unlink()
        return
    password = secrets.token_urlsafe(18)

    def keep() -> None:
        replace_file(path, password.encode(), mode=0o600)

    accounts.first_user(password, now(), keep=keep)


def _setup(settings: Settings, port: int, broker: EmbeddedBroker) -> Setup:
    host, broker_port = broker.address
    return Setup(
        state=str(settings.state.absolute()),
        database=str(settings.database_path.absolute()),
        blobs=str(settings.blobs_path.absolute()),
        keys=str(settings.keys_path.absolute()),
        host="127.0.0.1",
        port=port,
        address=f"http://127.0.0.1:{port}",
        broker=BrokerPlace(
            host=host,
            port=broker_port,
            program=broker.program,
            state=str((settings.state / "broker").absolute()),
        ),
        segment_rows=settings.segment_rows,
    )


def _first_password_at(state: Path) -> str:
    path = state / FIRST_PASSWORD
    return f" (sign in as admin; the password is in {path})" if path.exists() else ""


def _keep(broker: EmbeddedBroker) -> None:
    """Start the broker again where it has ended."""
    if not broker.running:
        _log.warning("the broker ended; it is started again")
        try:
            broker.start()
        except InsightEdgeError as error:
            _log.warning("%s", error)
