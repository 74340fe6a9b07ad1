# SPDX-License-Identifier: Apache-2.0
"""The user that an installation begins with: one, whoever starts it, and never locked out."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from insight_cloud.cli.up import FIRST_PASSWORD, keep_first_user
from insight_cloud.installation import open_installation
from insight_cloud.platform.clock import now
from insight_cloud.platform.settings import Settings
from insight_edge.errors import StorageError
from tests.fakes.programs import program

START = """
import sys
from pathlib import Path
from insight_cloud.cli.up import FIRST_PASSWORD, keep_first_user
from insight_cloud.installation import open_installation
from insight_cloud.platform.settings import Settings

state = Path(sys.argv[1])
with open_installation(Settings(state=state)) as cloud:
    print("ready", flush=True)
    sys.stdin.readline()
    keep_first_user(state / FIRST_PASSWORD, cloud.accounts)
"""
WORDS = "one of many plain words"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_of_processes_that_start_at_once_one_makes_the_user(tmp_path: Path) -> None:
    with open_installation(Settings(state=tmp_path)):
        pass
    started = [
        subprocess.Popen(
            [sys.executable, "-c", START, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        process.communicate(timeout=60)
        assert process.returncode == 0
    path = tmp_path / FIRST_PASSWORD
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with open_installation(Settings(state=tmp_path)) as cloud:
        assert [user.name for user in cloud.accounts.users()] == ["admin"]
        assert cloud.accounts.sign_in("admin", path.read_text(), address="x", now=now())
        made = [entry for entry in cloud.accounts.audit() if entry.action == "user.create"]
        assert len(made) == 1


def test_the_file_goes_when_its_password_counts_no_longer(tmp_path: Path) -> None:
    path = tmp_path / FIRST_PASSWORD
    with open_installation(Settings(state=tmp_path)) as cloud:
        keep_first_user(path, cloud.accounts)
        first = path.read_text()
        keep_first_user(path, cloud.accounts)
        assert path.read_text() == first
        cloud.accounts.set_password("admin", WORDS, by="x", now=now())
        keep_first_user(path, cloud.accounts)
        assert not path.exists()
        keep_first_user(path, cloud.accounts)
        assert not path.exists()


def test_there_is_no_user_whose_password_could_not_be_kept(tmp_path: Path) -> None:
    with open_installation(Settings(state=tmp_path)) as cloud:
        with pytest.raises(StorageError):
            keep_first_user(tmp_path / "no-folder" / FIRST_PASSWORD, cloud.accounts)
        assert cloud.accounts.users() == ()
        assert cloud.accounts.audit() == ()


def test_up_says_where_the_password_is_and_not_what_it_is(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            program("insight-cloud"),
            *("up", "--state", str(tmp_path / "state")),
            *("--port", str(free_port()), "--broker-port", str(free_port())),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "1000"},
    )
    said: list[str] = []
    try:
        assert process.stderr is not None
        while not any("devices enrol at" in line for line in said):
            said.append(process.stderr.readline())
            assert said[-1], said
    finally:
        process.send_signal(signal.SIGTERM)
        out, rest = process.communicate(timeout=60)
    password = (tmp_path / "state" / FIRST_PASSWORD).read_text()
    assert len(password) >= 20
    text = "".join(said)
    assert "sign in as admin; the password is in" in text.replace("\n", " ")
    assert FIRST_PASSWORD in text
    assert password not in text + out + rest
