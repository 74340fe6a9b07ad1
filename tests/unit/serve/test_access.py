# SPDX-License-Identifier: Apache-2.0
"""Only who may ask is let in, only a safe place is opened, and no token is ever told."""

from pathlib import Path

import pytest

from insight_edge.errors import ConfigurationError
from insight_edge.serve.access import Access
from insight_edge.serve.door import door, read_token
from insight_edge.serve.head import Head
from insight_edge.serve.place import Port, SocketFile
from insight_edge.serve.refusal import RefusedError

TOKEN = "0123456789abcdef-secret"


def asking(**fields: str) -> Head:
    named = {name.replace("_", "-"): text for name, text in fields.items()}
    return Head("GET", "/v2", named, 0, keep_alive=True, expects=False)


def status(access: Access, **fields: str) -> int:
    try:
        access.check(asking(**fields))
    except RefusedError as refused:
        assert refused.closes  # noqa: PT017 (its body is not read)
        return refused.status
    return 200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"host": "localhost:8000"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "LOCALHOST"}, 200),
        ({}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example:8000"}, 421),
        ({"host": "localhost@evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": ""}, 421),
        ({"host": "[::1"}, 421),
        ({"host": "localhost", "origin": "http://localhost:3000"}, 200),
        ({"host": "localhost", "origin": "https://evil.example"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
    ],
)
def test_loopback_answers_its_own_names_alone(fields: dict[str, str], expected: int) -> None:
    assert status(Access(), **fields) == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN}", 200),
        (TOKEN, 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        ("Bearer \xff", 401),
        ("", 401),
    ],
)
def test_token_is_asked_for(shown: str, expected: int) -> None:
    access = Access(token=TOKEN.encode(), hosts=frozenset())
    assert status(access, authorization=shown, host="any.example") == expected


def test_token_is_not_printed() -> None:
    assert TOKEN not in repr(Access(token=TOKEN.encode()))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


def test_token_is_read_from_a_file_of_ones_own(token_file: Path) -> None:
    assert read_token(token_file) == TOKEN.encode()


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (TOKEN, 0o644, "others can read it"),
        (TOKEN, 0o640, "others can read it"),
        ("short", 0o600, "a token is"),
        ("", 0o600, "a token is"),
        (f"{TOKEN} {TOKEN}", 0o600, "a token is"),
        (TOKEN * 400, 0o600, "a token is"),
    ],
)
def test_token_of_others_or_none_is_refused(
    token_file: Path, text: str, mode: int, said: str
) -> None:
    token_file.write_text(text)
    token_file.chmod(mode)
    with pytest.raises(ConfigurationError, match=said) as refused:
        read_token(token_file)
    assert TOKEN not in f"{refused.value} {refused.value.hint}"


def opened(**changes: object) -> tuple[object, Access]:
    flags: dict[str, object] = {
        "host": "127.0.0.1", "port": 0, "socket": None, "certificate": None, "key": None,
        "token_file": None,
    }  # fmt: skip
    return door(**flags | changes)  # type: ignore[arg-type]


def test_loopback_and_unix_sockets_need_nothing(tmp_path: Path) -> None:
    place, access = opened(host="localhost")
    assert isinstance(place, Port)
    assert access.hosts >= {"localhost", "127.0.0.1"}
    place, access = opened(socket=tmp_path / "s")
    assert isinstance(place, SocketFile)
    assert not access.hosts


def test_other_addresses_need_tls_and_a_token(token_file: Path) -> None:
    for changes in ({}, {"token_file": token_file}):
        with pytest.raises(ConfigurationError, match="can be reached by others"):
            opened(host="0.0.0.0", **changes)  # noqa: S104 (it is refused)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"certificate": Path("c")}, "belong together"),
        ({"key": Path("k")}, "belong together"),
        ({"host": "device.example"}, "is no address"),
        ({"port": 65536}, "no port"),
        ({"certificate": Path("c"), "key": Path("k")}, "cannot be used"),
        ({"socket": Path("s"), "certificate": Path("c"), "key": Path("k")}, "no certificate"),
        ({"token_file": Path("nowhere")}, "cannot be read"),
    ],
)
def test_door_that_cannot_be_meant_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        opened(**changes)
