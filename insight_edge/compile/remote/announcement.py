# SPDX-License-Identifier: Apache-2.0
"""What a builder says of itself in its folder, and whether it is still there.

It touches the file every few seconds. Two machines' clocks are never compared:
its age is told by a file written just now, on the same disk.
"""

import os
import tempfile
from pathlib import Path

from insight_edge.bundle.durable import replace_file, storing
from insight_edge.compile.plugins.code_digest import code_digest
from insight_edge.compile.plugins.discovery import backend_plugin, backends
from insight_edge.compile.remote.parcel import bytes_within
from insight_edge.compile.targets.plan import ask_toolchains
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.codec import (
    MAX_DOCUMENT_BYTES,
    Document,
    Versioned,
    decode_json,
    encode_json,
)
from insight_edge.documents.facts import Facts, Missing
from insight_edge.errors import BuildFailedError, ConfigurationError, DocumentError

FILE = "builder.json"

BEAT_S = 2.0
SILENT_S = 20.0
"""A builder that was not heard of for so long is not there any more."""


class Offered(Document, frozen=True, kw_only=True):
    """The toolchain of one backend there: `Toolchain`, and the digest of our code that builds."""

    versions: dict[str, str]
    lock: str = ""
    code: str = ""


class Announcement(Versioned, frozen=True, kw_only=True):
    """A builder.

    Attributes:
        facts: of its machine.
        toolchains: by token of the backend.
        missing: why there is none, by token.
    """

    facts: Facts
    toolchains: dict[str, Offered]
    missing: dict[str, str] = {}  # noqa: RUF012 (msgspec copies it)

    def toolchain(self, token: str) -> Toolchain | Missing:
        """Return the toolchain of a backend there; its interpreter is none of this machine."""
        found = self.toolchains.get(token)
        if found is None:
            return Missing(name=token, reason=self.missing.get(token, "no such backend there"))
        machine = (self.facts.arch, *sorted(self.facts.isa))
        return Toolchain(
            versions=found.versions, lock=found.lock, code=found.code, machine=machine, python=""
        )


def announcement_of(facts: Facts) -> Announcement:
    """Return what a builder on this machine has to offer."""
    asked = ask_toolchains(backends())
    able = {token: one for token, one in asked.items() if isinstance(one, Toolchain)}
    return Announcement(
        facts=facts,
        toolchains={
            token: Offered(
                versions=dict(one.versions), lock=one.lock, code=code_digest(backend_plugin(token))
            )
            for token, one in able.items()
        },
        missing={
            token: one.reason if isinstance(one, Missing) else str(one)
            for token, one in asked.items()
            if token not in able
        },
    )


def announce(folder: Path, announcement: Announcement) -> None:
    """Write the announcement of a folder's builder.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    replace_file(folder / FILE, encode_json(announcement))


def beat(folder: Path) -> None:
    """Say that the builder of a folder is still there; a folder that is gone is told nothing."""
    try:
        os.utime(folder / FILE)
    except OSError:
        return


def retract(folder: Path) -> None:
    """Say that the builder of a folder has gone."""
    with storing(folder):
        (folder / FILE).unlink(missing_ok=True)


def last_beat(folder: Path) -> int | None:
    """Return when the builder of a folder was last heard of, in ns of that disk's clock."""
    try:
        return (folder / FILE).stat().st_mtime_ns
    except OSError:
        return None


def find_builder(folder: Path) -> Announcement:
    """Return the announcement of the builder that works in a folder now.

    Raises:
        ConfigurationError: none does, or it says nothing that can be read.
        StorageError: the folder cannot be written.
    """
    hint = f"start one on the machine that is to build: insight-edge toolchain work {folder}"
    heard = last_beat(folder)
    if heard is None:
        raise ConfigurationError(f"{folder}: no builder works there", hint=hint)
    silent_s = (_now(folder) - heard) / 1e9
    if silent_s > SILENT_S:
        message = f"{folder}: its builder was last heard of {silent_s:.0f} s ago"
        raise ConfigurationError(message, hint=hint)
    try:
        return decode_json(Announcement, bytes_within(folder / FILE, MAX_DOCUMENT_BYTES))
    except (BuildFailedError, DocumentError) as error:
        raise ConfigurationError(f"{folder}: its builder cannot be understood: {error}") from error


def _now(folder: Path) -> int:
    with storing(folder), tempfile.NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
        return os.fstat(file.fileno()).st_mtime_ns
