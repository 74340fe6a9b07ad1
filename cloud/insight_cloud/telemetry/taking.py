# SPDX-License-Identifier: Apache-2.0
"""Store messages that were read, each once, inside a transaction of the service's.

What makes two messages the same is the key of their rows, never the moment or
the batch they came in; so it does not matter how often they come.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from insight_cloud.platform.schema import Row
from insight_cloud.telemetry import challenges, pending
from insight_cloud.telemetry.checking import Counted
from insight_cloud.telemetry.reading import Message, Values
from insight_cloud.telemetry.rules import Fate, Receipt
from insight_cloud.telemetry.samples import keep_offers
from insight_cloud.telemetry.storing import insert_new, insert_unseen
from insight_cloud.telemetry.tables import OutcomeRow, PredictionRow, ReportRow
from insight_edge.documents.topics import Kind

Key = tuple[Any, ...]

REPORT_KEY = (
    ReportRow.tenant,
    ReportRow.device,
    ReportRow.deployment,
    ReportRow.boot,
    ReportRow.sequence,
)
CONFLICT = ("ConflictError", "another report has this number")


def take(
    session: Session, messages: Sequence[Message], counted: Mapping[str, Counted], *, unseen: bool
) -> tuple[list[Receipt], list[Message]]:
    """Store messages and return a receipt for each, and those to be quarantined.

    A message that was read has no fault; those that came with one are receipted too. Of a report
    that was read and cannot be believed the row is stored, so that a copy is known for one.

    Args:
        session: of the transaction.
        messages: that came.
        counted: what reports of known bundles say, by digest of the message.
        unseen: whether all reports are thought to be new, which most are: it takes half the time.

    Raises:
        SeenError: not all were new; the transaction cannot go on.
    """
    of_kind: dict[Kind, list[Message]] = {}
    for message in messages:
        if message.fault is None or message.rows:
            of_kind.setdefault(message.topic.kind, []).append(message)
    fates: dict[int, Fate] = {}
    for kind, store in _STORES.items():
        several = of_kind.get(kind, [])
        fates |= zip(map(id, several), store(session, several), strict=True)
    reports = of_kind.get(Kind.REPORT, [])
    fates |= zip(map(id, reports), _keep_reports(session, reports, counted, unseen), strict=True)
    receipts = [_receipt(m, fates.get(id(m), Fate.QUARANTINED)) for m in messages]
    pairs = zip(messages, receipts, strict=True)
    return receipts, [m for m, receipt in pairs if receipt.fate is Fate.QUARANTINED]


def fault_of(message: Message) -> tuple[str, str]:
    """Return class and reason of what is wrong with a message."""
    return message.fault or CONFLICT


def keep_outcomes(session: Session, rows: Sequence[Values]) -> list[Fate]:
    """Store outcomes; of two about one result the later one counts, whichever came first."""
    order = sorted(range(len(rows)), key=lambda index: str(rows[index]["subject"]))
    fates = {index: _keep_outcome(session, rows[index]) for index in order}
    return [fates[index] for index in range(len(rows))]


def _keep_outcome(session: Session, row: Values) -> Fate:
    if insert_new(session, OutcomeRow, [row], [OutcomeRow.subject]):
        return Fate.STORED
    mine = (OutcomeRow.tenant == row["tenant"], OutcomeRow.subject == row["subject"])
    query = select(OutcomeRow.at_s, OutcomeRow.digest).where(*mine)
    kept = session.execute(query.with_for_update()).one()
    if (row["at_s"], row["digest"]) <= (kept.at_s, kept.digest):
        return Fate.DUPLICATE
    session.execute(update(OutcomeRow).where(*mine).values(row))
    return Fate.STORED


def _keep_reports(
    session: Session, messages: Sequence[Message], counted: Mapping[str, Counted], unseen: bool
) -> list[Fate]:
    rows = [message.rows[0] for message in messages]
    pending.name_batches(rows)
    if unseen:
        insert_unseen(session, ReportRow, rows)
        fates = [Fate.STORED] * len(rows)
    else:
        fates = _keep_rows(session, messages, rows)
    pending.keep(
        session,
        [
            pending.Stored(row, message.payload, counted.get(message.digest))
            for row, message, fate in zip(rows, messages, fates, strict=True)
            if fate is Fate.STORED and message.fault is None
        ],
    )
    challenges.add(
        session,
        [
            (row, message.report.challenge)
            for row, message, fate in zip(rows, messages, fates, strict=True)
            if fate is Fate.STORED and message.fault is None
            if message.report is not None and message.report.challenge is not None
        ],
    )
    return [
        Fate.QUARANTINED if fate is Fate.STORED and message.fault else fate
        for message, fate in zip(messages, fates, strict=True)
    ]


def _keep_rows(session: Session, messages: Sequence[Message], rows: Sequence[Values]) -> list[Fate]:
    made = {digest for (digest,) in insert_new(session, ReportRow, rows, [ReportRow.digest])}
    second: list[tuple[int, Key]] = []
    for index, row in enumerate(rows):
        if row["digest"] in made:
            made.discard(row["digest"])
        else:
            second.append((index, tuple(row[column.key] for column in REPORT_KEY)))
    fates = [Fate.STORED] * len(messages)
    kept = _kept(session, [key for _, key in second])
    for index, key in second:
        # Earlier releases kept the digest of the bytes on the wire.
        same = kept[key] in {rows[index]["digest"], messages[index].digest}
        fates[index] = Fate.DUPLICATE if same else Fate.QUARANTINED
    return fates


def _kept(session: Session, keys: Sequence[Key]) -> dict[Key, str]:
    """Return the digests of the reports that are stored under keys, boot by boot.

    SQLite reads the whole table for keys that are asked for as tuples.
    """
    found: dict[Key, str] = {}
    for run, several in groupby(sorted(keys), key=itemgetter(slice(-1))):
        chosen = dict(zip(_RUN, run, strict=True)) | {"sequences": [key[-1] for key in several]}
        rows = session.connection().execute(_DIGESTS, chosen)
        found |= {(*run, sequence): digest for sequence, digest in rows}
    return found


def _keep_predictions(session: Session, messages: Sequence[Message]) -> list[Fate]:
    rows = [row for message in messages for row in message.rows]
    made = _made(session, PredictionRow, rows, (PredictionRow.tenant, PredictionRow.id))
    fates = []
    for message in messages:
        mine = {(row["tenant"], row["id"]) for row in message.rows} & made
        made -= mine
        fates.append(Fate.STORED if mine else Fate.DUPLICATE)
    return fates


def _keep_samples(session: Session, messages: Sequence[Message]) -> list[Fate]:
    return keep_offers(session, [message.rows[0] for message in messages])


def _keep_outcomes(session: Session, messages: Sequence[Message]) -> list[Fate]:
    return keep_outcomes(session, [message.rows[0] for message in messages])


def _made(
    session: Session,
    table: type[Row],
    rows: Sequence[Values],
    columns: Sequence[InstrumentedAttribute[Any]],
) -> set[Key]:
    return {tuple(found) for found in insert_new(session, table, rows, columns)}


def _receipt(message: Message, fate: Fate) -> Receipt:
    reason = ": ".join(fault_of(message)) if fate is Fate.QUARANTINED else None
    return Receipt(digest=message.digest, fate=fate, reason=reason)


_RUN = tuple(column.key for column in REPORT_KEY[:-1])
_DIGESTS = select(ReportRow.sequence, ReportRow.digest).where(
    *(column == bindparam(column.key) for column in REPORT_KEY[:-1]),
    ReportRow.sequence.in_(bindparam("sequences", expanding=True)),
)
_STORES = {
    Kind.PREDICTION: _keep_predictions,
    Kind.SAMPLE: _keep_samples,
    Kind.OUTCOME: _keep_outcomes,
}
