# SPDX-License-Identifier: Apache-2.0
"""Who may connect to the embedded broker: passwords in its state folder.

    <state>/secrets.json     the cloud's own password, and the one that devices share on iotcore
    <state>/passwords        of the cloud and of every device, hashed, as mosquitto reads them

Any process of the cloud may admit a device; the broker's parent sees the file
change and tells mosquitto. iotcore knows a fixed list of users and no topics, so
there all devices share one login: it tells devices from strangers, not from one
another. What may be said on which topic is `broker_config`'s.
"""

import base64
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec

from insight_cloud.platform.broker_config import CLOUD, DEVICE
from insight_edge.bundle.durable import replace_file, storing
from insight_edge.documents.topics import check_name
from insight_edge.errors import ConfigurationError

PASSWORDS: Final = "passwords"

Program = Literal["mosquitto", "iotcore"]

_SECRETS: Final = "secrets.json"
_ITERATIONS: Final = 101
"""Passwords are 256 random bits: nobody guesses them, however fast."""


class Login(msgspec.Struct, frozen=True):
    """A user of the broker."""

    username: str
    password: str


class Access:
    """The passwords of one broker; any number of processes may use them at once.

    Raises:
        ConfigurationError: what is there cannot be read; so of every method.
        StorageError: the folder cannot be written; so of every method.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        with storing(state):
            state.mkdir(parents=True, exist_ok=True)
            state.chmod(0o700)
        with self._locked():
            self._words = self._known() or self._invented()
            users = self._users()
            if CLOUD not in users:
                self._write(users | {CLOUD: hashed(self._words[CLOUD])})

    @property
    def cloud(self) -> Login:
        """The login of the cloud's own programs."""
        return Login(CLOUD, self._words[CLOUD])

    @property
    def shared(self) -> Login:
        """The login of all devices on iotcore."""
        return Login(DEVICE, self._words[DEVICE])

    def admit(self, tenant: str, device: str, program: Program) -> Login:
        """Return a login for a device; one of its own that it had before is good no longer.

        Raises:
            DocumentError: a name is none.
        """
        username = _username(tenant, device)
        if program == "iotcore":
            return self.shared
        login = Login(username, secrets.token_urlsafe(32))
        with self._locked():
            self._write(self._users() | {username: hashed(login.password)})
        return login

    def expel(self, tenant: str, device: str) -> None:
        """Let a device's own login be good no longer; the shared one of iotcore goes on.

        Raises:
            DocumentError: a name is none.
        """
        username = _username(tenant, device)
        with self._locked():
            users = self._users()
            if users.pop(username, None) is not None:
                self._write(users)

    def _known(self) -> dict[str, str] | None:
        path = self._state / _SECRETS
        try:
            words = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}") from error
        if not {CLOUD, DEVICE} <= words.keys():
            raise ConfigurationError(f"{path}: a password is missing")
        return words

    def _invented(self) -> dict[str, str]:
        words = {CLOUD: secrets.token_urlsafe(32), DEVICE: secrets.token_urlsafe(32)}
        replace_file(self._state / _SECRETS, msgspec.json.encode(words), mode=0o600)
        return words

    def _users(self) -> dict[str, str]:
        path = self._state / PASSWORDS
        try:
            lines = path.read_text("ascii").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}") from error
        pairs = (line.partition(":") for line in lines)
        return {name: word for name, colon, word in pairs if colon}

    def _write(self, users: dict[str, str]) -> None:
        text = "".join(f"{name}:{word}\n" for name, word in users.items())
        replace_file(self._state / PASSWORDS, text.encode("ascii"), mode=0o600)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with storing(self._state):
            fd = os.open(self._state / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def hashed(password: str, salt: bytes | None = None) -> str:
    """Return a password as mosquitto keeps it: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12) if salt is None else salt
    found = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    parts = (base64.b64encode(part).decode("ascii") for part in (salt, found))
    return f"$7${_ITERATIONS}${'$'.join(parts)}"


def _username(tenant: str, device: str) -> str:
    return f"{check_name('tenant', tenant)}/{check_name('device', device)}"
