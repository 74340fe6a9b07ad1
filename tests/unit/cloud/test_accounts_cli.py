# SPDX-License-Identifier: Apache-2.0
"""Users, tokens and the trail from a shell on the server."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from insight_cloud.cli.main import run
from insight_cloud.installation import open_installation
from insight_cloud.platform.clock import now
from insight_cloud.platform.settings import Settings

WORDS = "one of many plain words"
Call = Callable[..., tuple[str, str]]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str, words: str = "", code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(words))
        assert run([*arguments, "--state", "state"]) == code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return printed.out, printed.err

    return called


def test_users_are_looked_after(call: Call) -> None:
    call("user", "add", "kim", "--role", "admin", words=f"{WORDS}\n")
    call("user", "add", "lee", words=f"{WORDS}\n")
    call("user", "role", "lee", "viewer")
    call("user", "password", "lee", words=f"{WORDS} more\n")
    call("user", "disable", "lee")
    call("user", "enable", "lee")
    _, told = call("user", "disable", "kim", code=1)
    assert "only admin" in told
    assert {"kim", "lee"} <= set(call("user", "list")[0].split())
    assert '"role": "viewer"' in call("user", "list", "--format", "json")[0]
    with open_installation(Settings(state=Path("state"))) as cloud:
        assert {one.by[:6] for one in cloud.accounts.audit()} == {"local:"}
        assert cloud.accounts.sign_in("lee", f"{WORDS} more", address="x", now=now())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kim", f"{WORDS}\n"),
        ("lee", ""),
        ("lee", "\n"),
        ("lee", "short\n"),
        ("lee", "x" * 5000),
        ("Lee!", f"{WORDS}\n"),
    ],
)
def test_a_mistake_makes_no_user(call: Call, name: str, words: str) -> None:
    call("user", "add", "kim", words=f"{WORDS}\n")
    _, told = call("user", "add", name, words=words, code=2)
    assert told.startswith("error: ")
    with open_installation(Settings(state=Path("state"))) as cloud:
        assert len(cloud.accounts.users()) == 1


def test_a_token_is_printed_once_and_alone(call: Call) -> None:
    call("user", "add", "kim", words=f"{WORDS}\n")
    secret, told = call("user", "token", "nightly", "--user", "kim", "--role", "viewer")
    assert len(secret.strip()) > 40
    assert secret.strip() not in told
    call("user", "token", "x", "--user", "kim", "--role", "admin", code=1)
    call("user", "token", "x", "--user", "nobody", code=2)
    call("user", "token", "x", "--user", "kim", "--days", "0", code=2)
    with open_installation(Settings(state=Path("state"))) as cloud:
        assert cloud.accounts.by_token(secret.strip(), now()) is not None
    for format_ in ("table", "json"):
        trail, _ = call("audit", "--format", format_)
        assert "token.issue" in trail
        assert secret.strip() not in trail
        assert WORDS not in trail


def test_the_trail_is_filtered(call: Call) -> None:
    call("user", "add", "kim", words=f"{WORDS}\n")
    call("user", "add", "lee", words=f"{WORDS}\n")
    call("device", "invite", "camera-1")
    table, _ = call("audit", "--subject", "lee")
    assert "user.create" in table
    assert "kim" not in table
    assert "device.invite" in call("audit", "--action", "device")[0]
    assert call("audit", "--by", "nobody-at-all", "--format", "json")[0].strip() == "[]"
    call("audit", "--limit", "0", code=2)
