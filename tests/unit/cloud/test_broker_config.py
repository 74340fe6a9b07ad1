# SPDX-License-Identifier: Apache-2.0
"""What brokers are configured with, and who may connect to them."""

import base64
import hashlib
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from insight_cloud.platform.broker import EmbeddedBroker
from insight_cloud.platform.broker_access import Access, hashed
from insight_cloud.platform.broker_config import (
    MAX_PACKET_BYTES,
    Tls,
    iotcore_toml,
    is_loopback,
    mosquitto_acl,
    mosquitto_conf,
)
from insight_edge.documents.topics import DOWN, UP, Kind
from insight_edge.errors import ConfigurationError, DocumentError


def test_iotcore_takes_passwords_as_they_are() -> None:
    users = {"cloud": 'q"uote\\', "device": "#[x]"}
    found = tomllib.loads(iotcore_toml("127.0.0.1", 1883, users))
    listener = found["v5"]["1"]
    assert listener["listen"] == "127.0.0.1:1883"
    assert listener["connections"]["auth"] == users
    assert listener["connections"]["max_payload_size"] == MAX_PACKET_BYTES
    assert "v4" not in found


def test_mosquitto_lets_nobody_in_unknown_and_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    lines = mosquitto_conf(tmp_path, "127.0.0.1", 1883, "me", None).splitlines()
    assert {"allow_anonymous false", "persistence true", "autosave_interval 5"} <= set(lines)
    assert f"password_file {tmp_path}/passwords" in lines
    assert not any("certfile" in line for line in lines)
    tls = Tls(tmp_path / "c", tmp_path / "k")
    assert f"certfile {tmp_path}/c" in mosquitto_conf(tmp_path, "0.0.0.0", 1, "me", tls)  # noqa: S104


def test_a_device_writes_up_and_reads_down_under_its_own_name_alone() -> None:
    lines = mosquitto_acl().splitlines()
    own = [line for line in lines if line.startswith("pattern ")]
    for kind in Kind:
        assert (f"pattern write ie/v1/%u/{kind.value}" in own) == (kind in UP)
        assert (f"pattern read ie/v1/%u/{kind.value}" in own) == (kind in DOWN)
    assert len(own) == len(Kind)
    users = [line for line in lines if line.startswith("user ")]
    assert users == ["user cloud"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "localhost.example", "::", ""])  # noqa: S104
def test_others_are_not(host: str, tmp_path: Path) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError, match="on this machine alone"):
        EmbeddedBroker(tmp_path, host=host, port=1, program="iotcore")


def test_iotcore_has_no_tls(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "c", tmp_path / "k")
    with pytest.raises(ConfigurationError, match="no TLS"):
        EmbeddedBroker(tmp_path, program="iotcore", tls=tls)


def test_passwords_stay_and_are_readable_by_their_user_alone(tmp_path: Path) -> None:
    state = tmp_path / "broker"
    first, second = Access(state), Access(state)
    assert (first.cloud, first.shared) == (second.cloud, second.shared)
    assert first.cloud.password != first.shared.password
    for name in ("secrets.json", "passwords"):
        assert (state / name).stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert first.cloud.password not in (state / "passwords").read_text()


def test_device_has_a_login_of_its_own_on_mosquitto_and_shares_one_on_iotcore(
    tmp_path: Path,
) -> None:
    access = Access(tmp_path)
    assert access.admit("default", "press-1", "iotcore") == access.shared
    login = access.admit("default", "press-1", "mosquitto")
    assert login.username == "default/press-1"
    again = access.admit("default", "press-1", "mosquitto")
    assert again.password != login.password
    passwords = (tmp_path / "passwords").read_text().splitlines()
    assert [line.split(":")[0] for line in passwords] == ["cloud", "default/press-1"]
    access.expel("default", "press-1")
    access.expel("default", "never-there")
    assert (tmp_path / "passwords").read_text().splitlines() == passwords[:1]


def test_password_is_hashed_as_mosquitto_checks_it() -> None:
    _, kind, iterations, salt, found = hashed("word", b"0123456789ab").split("$")
    assert (kind, iterations) == ("7", "101")
    plain = hashlib.pbkdf2_hmac("sha512", b"word", base64.b64decode(salt), 101)
    assert base64.b64decode(found) == plain


@pytest.mark.parametrize("name", ["a/b", "+", "#", "a:b", "", "a\nb:c", "UPPER"])
def test_names_that_mean_something_to_a_broker_are_refused(tmp_path: Path, name: str) -> None:
    access = Access(tmp_path)
    for program in ("mosquitto", "iotcore"):
        with pytest.raises(DocumentError):
            access.admit("default", name, program)
        with pytest.raises(DocumentError):
            access.admit(name, "press-1", program)
    with pytest.raises(DocumentError):
        access.expel("default", name)


def test_devices_admitted_at_once_are_all_admitted(tmp_path: Path) -> None:
    def admit(n: int) -> None:
        Access(tmp_path).admit("default", f"press-{n}", "mosquitto")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(admit, range(40)))
    assert len((tmp_path / "passwords").read_text().splitlines()) == 41


@pytest.mark.parametrize("spoilt", [b"", b"{", b'{"cloud": "x"}', b'{"cloud": 1}', b"\xff"])
def test_secrets_that_cannot_be_read_are_not_replaced(tmp_path: Path, spoilt: bytes) -> None:
    Access(tmp_path)
    (tmp_path / "secrets.json").write_bytes(spoilt)
    with pytest.raises(ConfigurationError, match=r"secrets\.json"):
        Access(tmp_path)
    assert (tmp_path / "secrets.json").read_bytes() == spoilt
