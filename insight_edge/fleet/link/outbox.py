# SPDX-License-Identifier: Apache-2.0
"""Messages that wait until the cloud has acknowledged them, over restarts and crashes.

Rules T3 and T4 in docs/formats/fleet.md. A message is known by the digest of its
payload. What `put` has returned for is on the disk; what the broker has is only
put off; what the cloud has is forgotten. Room is bounded: which messages are
given up for others is `queueing`'s decision, and each is counted. The file is the
outbox's own but for the jobs in it (`fleet.jobs.store`); it sends nothing.
"""

import random
import sqlite3
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from insight_edge.documents.codec import MAX_PAYLOAD_BYTES, digest
from insight_edge.documents.topics import Kind
from insight_edge.errors import LimitExceededError
from insight_edge.fleet.database import Database, Work
from insight_edge.fleet.link.queueing import (
    KEPT,
    LONGEST_PAUSE_S,
    OVERHEAD_BYTES,
    give_way,
    in_turn,
    pause_s,
    room_bytes,
)
from insight_edge.fleet.tables import SCHEMA

MAX_BYTES: Final = 64 * 1024 * 1024

_WHERE: Final = "@"
"""Between a kind and where messages of it were lost, in the table `lost`."""


class Message(NamedTuple):
    """A message that waits."""

    digest: str
    kind: Kind
    payload: bytes


class Held(NamedTuple):
    """How much waits."""

    messages: int
    length_bytes: int


class Outbox:
    """The outbox of one agent; every method may be used from any thread.

    Args:
        path: of its file, which it alone uses.
        max_bytes: room for messages; the file may be half as large again.
        share: a number from 0 to 1 at random.

    Attributes:
        database: that file, in which jobs lie too.

    Raises:
        StorageError: the disk cannot be written, here and in every method.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = MAX_BYTES,
        share: Callable[[], float] = random.random,
    ) -> None:
        self.database = Database(path, SCHEMA)
        self._max_bytes = max_bytes
        self._share = share
        self._last: Kind | None = None

    @property
    def waiting(self) -> dict[Kind, Held]:
        """How much waits for the cloud's word, by kind."""
        return self.database.run(_held, lasting=False)

    @property
    def lost(self) -> dict[str, int]:
        """Messages that were given up since the file was begun, by kind."""
        return self.database.run(_lost, lasting=False)

    @property
    def damaged(self) -> int:
        """Files that could not be read and were moved aside with all that waited in them."""
        return self.database.damaged

    def put(self, kind: Kind, payload: bytes, *, also: Work[None] = lambda _: None) -> str:
        """Keep a message until it is acknowledged, and return its digest.

        The same bytes are kept once. Where there is no room, messages that are worth less
        are given up for it, the oldest first, or else this one is.

        Args:
            kind: of the message.
            payload: its bytes.
            also: what is done to the file in the same transaction: both or neither.

        Raises:
            LimitExceededError: it is longer than any broker would take.
            StorageError: it is not kept: the disk is full or cannot be written.
        """
        if kind not in KEPT:
            raise ValueError(f"a {kind.value} is not kept: the next one says more")
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise LimitExceededError(
                f"{kind.value}: {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are sent"
            )
        name = digest(payload)

        def work(found: sqlite3.Connection) -> None:
            self._put(found, kind, _raw(name), payload)
            also(found)

        self.database.run(work)
        return name

    def lost_before(self, kind: Kind, where: str, messages: int) -> None:
        """Count messages that were lost before they came here.

        Args:
            kind: of the messages.
            where: whoever counts them; told again, the higher number counts.
            messages: that were lost there in all.
        """
        name = f"{kind.value}{_WHERE}{where}"
        self.database.run(lambda found: _note_lost(found, name, messages))

    def due(self, limit: int, now_s: float, *, besides: Collection[str] = ()) -> list[Message]:
        """Return what should be sent now, one of each kind in turn and the oldest first.

        Args:
            limit: no more than these.
            now_s: by any clock that goes on over restarts; one that jumps does no harm.
            besides: digests that are under way.
        """
        skipped = {_raw(name) for name in besides}
        return self.database.run(
            lambda found: self._due(found, limit, now_s, skipped), lasting=False
        )

    def sent(self, digests: Iterable[str], now_s: float) -> None:
        """Put messages off that the broker has or does not want: they are due again later."""
        names = [_raw(name) for name in digests]
        self.database.run(lambda found: self._put_off(found, names, now_s), lasting=False)

    def acknowledge(self, digests: Iterable[str]) -> int:
        """Forget messages that the cloud has, and return how many of them waited here."""
        names = [(_raw(name),) for name in digests]
        return self.database.run(lambda found: _forget(found, names), lasting=False)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def _put(self, found: sqlite3.Connection, kind: Kind, name: bytes, payload: bytes) -> None:
        if found.execute("SELECT 1 FROM message WHERE digest = ?", (name,)).fetchone():
            return
        taken = {one: room_bytes(*held) for one, held in _held(found).items()}
        leaving = give_way(taken, kind, room_bytes(1, len(payload)), self._max_bytes)
        if leaving is None:
            _count_lost(found, kind, 1)
            return
        for other, missing_bytes in leaving.items():
            _give_up_oldest(found, other, missing_bytes)
        found.execute(
            "INSERT INTO message (digest, kind, payload, length_bytes) VALUES (?, ?, ?, ?)",
            (name, kind.value, payload, len(payload)),
        )

    def _due(
        self, found: sqlite3.Connection, limit: int, now_s: float, skipped: set[bytes]
    ) -> list[Message]:
        most = limit + len(skipped)
        free = {
            kind: [
                row for row, name in _due_of_kind(found, kind, now_s, most) if name not in skipped
            ]
            for kind in KEPT
        }
        turns = in_turn(free, self._last, limit)
        if turns:
            self._last = turns[-1][0]
        messages = (_whole(found, kind, i) for kind, i in turns)
        return [message for message in messages if message is not None]

    def _put_off(self, found: sqlite3.Connection, names: list[bytes], now_s: float) -> None:
        for name in names:
            query = "UPDATE message SET attempts = attempts + 1 WHERE digest = ? RETURNING attempts"
            for (attempts,) in found.execute(query, (name,)).fetchall():
                due_s = now_s + pause_s(attempts, self._share())
                found.execute("UPDATE message SET due_s = ? WHERE digest = ?", (due_s, name))


def _held(found: sqlite3.Connection) -> dict[Kind, Held]:
    rows = found.execute("SELECT kind, count(*), sum(length_bytes) FROM message GROUP BY kind")
    return {Kind(kind): Held(messages, length_bytes) for kind, messages, length_bytes in rows}


def _lost(found: sqlite3.Connection) -> dict[str, int]:
    counted: dict[str, int] = {}
    for name, messages in found.execute("SELECT kind, messages FROM lost"):
        kind = name.partition(_WHERE)[0]
        counted[kind] = counted.get(kind, 0) + messages
    return counted


def _due_of_kind(
    found: sqlite3.Connection, kind: Kind, now_s: float, limit: int
) -> list[tuple[int, bytes]]:
    """Return the oldest that are due.

    A time further away than any pause was set by a clock that has jumped since.
    """
    return found.execute(
        "SELECT id, digest FROM message WHERE kind = ? AND (due_s <= ? OR due_s > ?)"
        " ORDER BY id LIMIT ?",
        (kind.value, now_s, now_s + LONGEST_PAUSE_S, limit),
    ).fetchall()


def _whole(found: sqlite3.Connection, kind: Kind, row: int) -> Message | None:
    """Return a message, or None where its bytes are no longer those that were put.

    The cloud would acknowledge what it got, which is not what waits here.
    """
    query = "SELECT digest, payload FROM message WHERE id = ?"
    name, payload = found.execute(query, (row,)).fetchone()
    if _raw(digest(payload)) == name:
        return Message(digest(payload), kind, payload)
    found.execute("DELETE FROM message WHERE id = ?", (row,))
    _count_lost(found, kind, 1)
    return None


def _give_up_oldest(found: sqlite3.Connection, kind: Kind, missing_bytes: int) -> None:
    rows = found.execute(
        "SELECT id, length_bytes FROM message WHERE kind = ? ORDER BY id", (kind.value,)
    )
    leaving = []
    while missing_bytes > 0:
        row, length_bytes = rows.fetchone()
        leaving.append((row,))
        missing_bytes -= length_bytes + OVERHEAD_BYTES
    rows.close()
    found.executemany("DELETE FROM message WHERE id = ?", leaving)
    _count_lost(found, kind, len(leaving))


def _count_lost(found: sqlite3.Connection, kind: Kind, messages: int) -> None:
    found.execute(
        "INSERT INTO lost VALUES (?, ?) ON CONFLICT (kind)"
        " DO UPDATE SET messages = messages + excluded.messages",
        (kind.value, messages),
    )


def _note_lost(found: sqlite3.Connection, name: str, messages: int) -> None:
    found.execute(
        "INSERT INTO lost VALUES (?, ?) ON CONFLICT (kind)"
        " DO UPDATE SET messages = max(messages, excluded.messages)",
        (name, messages),
    )


def _forget(found: sqlite3.Connection, names: list[tuple[bytes]]) -> int:
    return max(found.executemany("DELETE FROM message WHERE digest = ?", names).rowcount, 0)


def _raw(name: str) -> bytes:
    """Return a digest as 32 bytes; of what is none, bytes that no message has."""
    head, _, digits = name.partition(":")
    try:
        return bytes.fromhex(digits) if head == "sha256" else b""
    except ValueError:
        return b""
