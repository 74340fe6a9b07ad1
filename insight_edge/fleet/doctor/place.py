# SPDX-License-Identifier: Apache-2.0
"""The state directory: whose it is, who may read the secrets in it, and how much room is left."""

import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Final

from insight_edge.documents.enrolment import Identity
from insight_edge.errors import ConfigurationError
from insight_edge.fleet.doctor.check import Check, failed, ok, size, warning
from insight_edge.fleet.identity import NAME, deployment_dir, identity_of
from insight_edge.fleet.transfer.incoming import RESERVE_BYTES

UNKNOWN_BUNDLE_BYTES: Final = 64 * 1024 * 1024
"""Assumed of the next bundle where no slot holds one to go by."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def look_at_identity(state: Path) -> tuple[Check, Identity | None]:
    """Return how the identity stands, and the identity where it can be read."""
    try:
        identity = identity_of(state)
        mode = (state / NAME).stat().st_mode
    except ConfigurationError as error:
        return _unreadable(state, error), None
    except OSError as error:
        return failed("identity", f"{state / NAME}: {error.strerror}"), None
    return judge_identity(identity, state / NAME, mode), identity


def _unreadable(state: Path, error: ConfigurationError) -> Check:
    """Return what is wrong with an identity, without a word of what is in it."""
    match error.__cause__:
        case FileNotFoundError():
            return failed("identity", str(error), error.hint or "")
        case PermissionError():
            return failed("identity", f"{state / NAME}: may not be read", "run as the agent's user")
        case _:
            return failed("identity", f"{state / NAME}: cannot be read", error.hint or "")


def judge_identity(identity: Identity, path: Path, mode: int) -> Check:
    """Return how an identity stands whose file has this mode."""
    if mode & _OTHERS:
        open_to = f"{path} is readable by others (mode {stat.S_IMODE(mode):04o})"
        return failed("identity", open_to, f"chmod 600 {path}, then enrol the device again")
    return ok("identity", f"'{identity.device}', profile {identity.profile}")


def look_at_directory(state: Path) -> Check:
    """Return whether the agent may write its directory, and nobody else read it."""
    name = "state directory"
    try:
        found = state.stat()
    except OSError as error:
        return failed(name, f"{state}: {error.strerror}", "--state names another one")
    owner = _user(found.st_uid)
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        return warning(name, f"{state} is open to others (mode {mode:04o})", f"chmod 700 {state}")
    foreign = [path for path in sorted(state.iterdir()) if path.lstat().st_uid != found.st_uid]
    if foreign:
        says = f"{foreign[0]} belongs to {_user(foreign[0].lstat().st_uid)}, {state} to {owner}"
        return failed(name, says, f"chown -R {owner} {state}")
    if not os.access(state, os.W_OK | os.X_OK):
        return failed(name, f"{state} cannot be written", f"is its disk read-only? run as {owner}")
    return ok(name, f"{state}, of {owner}")


def look_at_disk(state: Path, deployments: tuple[str, ...]) -> Check:
    """Return whether there is room for the next bundle."""
    places = [deployment_dir(state, name) / "slots" for name in deployments]
    slots = [slot for place in places if place.is_dir() for slot in place.iterdir()]
    largest_bytes = max(map(_folder_bytes, slots), default=0)
    try:
        free_bytes = shutil.disk_usage(state).free
    except OSError as error:
        return failed("disk", f"{state}: {error.strerror}")
    return judge_disk(free_bytes, largest_bytes or UNKNOWN_BUNDLE_BYTES)


def judge_disk(free_bytes: int, bundle_bytes: int, reserve_bytes: int = RESERVE_BYTES) -> Check:
    """Return whether so much room is enough for a bundle of that size, twice, and a reserve."""
    needed_bytes = 2 * bundle_bytes + reserve_bytes
    says = f"{size(free_bytes)} are free, an update needs about {size(needed_bytes)}"
    if free_bytes < reserve_bytes:
        return failed("disk", says, "free some space: what is counted cannot be kept either")
    if free_bytes < needed_bytes:
        return failed("disk", says, "free some space; what serves goes on serving")
    return ok("disk", says)


def _folder_bytes(folder: Path) -> int:
    try:
        return sum(path.lstat().st_size for path in folder.iterdir())
    except OSError:
        return 0


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
