# SPDX-License-Identifier: Apache-2.0
"""What the agent keeps over restarts: the outbox and the journal, opened to be read alone."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from insight_edge.documents.codec import Versioned, decode_json, decode_wire
from insight_edge.documents.delivery import Outcome, Predictions, SampleOffer
from insight_edge.documents.job import JobResult
from insight_edge.documents.report import Report
from insight_edge.documents.topics import Kind
from insight_edge.errors import DocumentError
from insight_edge.fleet.doctor.check import Check, failed, ok, size, span, warning
from insight_edge.fleet.journal import MAX_BYTES, Accepted
from insight_edge.fleet.link.outbox import MAX_BYTES as OUTBOX_BYTES
from insight_edge.fleet.update.state import UpdateState

OUTBOX: Final = "agent.sqlite"
LONG_S: Final = 3600.0
BUSY_S: Final = 2.0

_TIMES: Final[dict[str, Callable[[bytes], float]]] = {
    Kind.REPORT: lambda data: decode_wire(Report, data).window.closed_s,
    Kind.PREDICTION: lambda data: max(decode_wire(Predictions, data).at_s),
    Kind.SAMPLE: lambda data: decode_wire(SampleOffer, data).at_s,
    Kind.OUTCOME: lambda data: decode_wire(Outcome, data).at_s,
    Kind.JOB_RESULT: lambda data: decode_wire(JobResult, data).at_s,
}


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in an outbox.

    Attributes:
        oldest_s: when the oldest came about by the device's clock; None where nothing waits.
        lost: messages that were given up since the file was begun.
    """

    messages: int
    length_bytes: int
    oldest_s: float | None
    lost: int


def look_at_outbox(state: Path, now_s: float) -> Check:
    """Return whether the outbox can be read, how full it is, and since when it waits."""
    path = state / OUTBOX
    aside = sorted(path.parent.glob(f"{OUTBOX}.damaged-*[0-9]"))
    try:
        found = waiting_in(path) if path.exists() else None
    except (sqlite3.Error, DocumentError, ValueError) as error:
        says = f"{path}: {' '.join(str(error).split())[:120]}"
        return failed("outbox", says, "the agent sets it aside and begins anew when it restarts")
    if found is None:
        return warning("outbox", "there is none yet", "insight-edge agent run makes it")
    return judge_outbox(found, [one.name for one in aside], now_s)


def judge_outbox(found: Waiting, aside: list[str], now_s: float) -> Check:
    """Return how an outbox stands."""
    says = f"{found.messages} messages wait, {size(found.length_bytes)}"
    if found.oldest_s is not None:
        says += f", the oldest since {span(now_s - found.oldest_s)}"
    if found.lost:
        says += f"; {found.lost} were given up"
    if aside:
        says += f"; set aside as unreadable: {', '.join(aside)}"
        return warning("outbox", says, "what was in it is lost; is the disk failing?")
    if found.length_bytes > OUTBOX_BYTES / 2:
        return warning("outbox", says, "it is filling up: mend the way to the cloud")
    if found.oldest_s is not None and now_s - found.oldest_s > LONG_S:
        return warning("outbox", says, "the cloud takes nothing: look at broker and ingester")
    return ok("outbox", says)


def waiting_in(path: Path) -> Waiting:
    """Return what waits in an outbox, read beside its agent or without.

    Raises:
        sqlite3.Error: the file is damaged or none.
        DocumentError, ValueError: a message in it is.
    """
    # Without a log there is no writer, and SQLite would make files to read it otherwise.
    alone = not path.with_name(path.name + "-wal").exists()
    address = f"file:{quote(str(path.absolute()))}?{'immutable=1' if alone else 'mode=ro'}"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as found:
        (whole,) = found.execute("PRAGMA quick_check(1)").fetchone()
        if whole != "ok":
            raise sqlite3.DatabaseError(whole)
        messages, length_bytes = found.execute(
            "SELECT count(*), coalesce(sum(length_bytes), 0) FROM message"
        ).fetchone()
        oldest = found.execute(
            "SELECT kind, payload FROM message WHERE id IN"
            " (SELECT min(id) FROM message GROUP BY kind)"
        ).fetchall()
        (lost,) = found.execute("SELECT coalesce(sum(messages), 0) FROM lost").fetchone()
    times = [_TIMES[kind](payload) for kind, payload in oldest if kind in _TIMES]
    return Waiting(
        messages=messages, length_bytes=length_bytes, oldest_s=min(times, default=None), lost=lost
    )


def look_at_journal(state: Path) -> Check:
    """Return whether the journal can be read."""
    folder = state / "journal"
    aside = sorted(path.name for path in folder.glob("*.unreadable"))
    kinds = dict.fromkeys(sorted(folder.glob("update-*.json")), UpdateState)
    broken = [path.name for path, kind in kinds.items() if _decoded(path, kind) is None]
    desired = folder / "desired.json"
    accepted = _decoded(desired, Accepted) if desired.exists() else None
    if desired.exists() and accepted is None:
        broken.append(desired.name)
    if broken:
        says = f"{folder}: {', '.join(broken)} cannot be read"
        return failed("journal", says, "the agent sets it aside when it restarts")
    revision = accepted.desired.revision if isinstance(accepted, Accepted) else 0
    if aside:
        says = f"revision {revision}; set aside as unreadable: {', '.join(aside)}"
        return warning("journal", says, "the cloud tells it again; is the disk failing?")
    return ok("journal", f"revision {revision} was accepted last")


def _decoded(path: Path, kind: type[Versioned]) -> Any:
    try:
        with path.open("rb") as file:
            return decode_json(kind, file.read(MAX_BYTES))
    except (OSError, DocumentError):
        return None
