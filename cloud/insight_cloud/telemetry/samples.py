# SPDX-License-Identifier: Apache-2.0
"""Inputs that devices keep: offered, asked for, uploaded, labelled, or let go.

Nothing leaves a device unasked, and of one device no more is asked for than its
share. Inside a transaction of the service's.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from insight_cloud.telemetry.reading import Values
from insight_cloud.telemetry.rules import Fate
from insight_cloud.telemetry.storing import insert_new
from insight_cloud.telemetry.tables import SampleRow

MAX_OFFERED = 200
"""Of one device; a further offer lets the oldest go."""


MAX_CONSIDERED = 10_000
"""Offers that are compared, the newest, when some are asked for."""


class SampleState(StrEnum):
    """What was done about a sample."""

    OFFERED = "offered"
    ASKED = "asked"
    UPLOADED = "uploaded"
    LABELLED = "labelled"
    EXPIRED = "expired"


_BURDENS = (
    SampleState.ASKED.value,
    SampleState.UPLOADED.value,
    SampleState.LABELLED.value,
)

FOLLOWS = {
    SampleState.ASKED: (SampleState.OFFERED,),
    SampleState.UPLOADED: (SampleState.ASKED,),
    SampleState.LABELLED: (SampleState.UPLOADED,),
    SampleState.EXPIRED: (SampleState.OFFERED, SampleState.ASKED, SampleState.UPLOADED),
}
"""From which states each is reached; what is uploaded is let go by whoever finds it of no use."""

_UNTOUCHED = (SampleState.OFFERED.value, SampleState.ASKED.value)
"""What is let go with time."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An input on a device.

    Attributes:
        digest: of the file.
        result: id of the result.
        score: why it was kept, in the unit of the reason.
        outputs: JSON of what was answered.
    """

    device: str
    deployment: str
    digest: str
    result: str
    bundle: str
    length_bytes: int
    reason: str
    score: float
    outputs: str
    at_s: float
    state: SampleState


def keep_offers(session: Session, rows: Sequence[Values]) -> list[Fate]:
    """Store offers; one that is known is not offered again."""
    complete = [
        row | {"state": SampleState.OFFERED.value, "changed_s": row["arrived_s"]} for row in rows
    ]
    columns = (SampleRow.tenant, SampleRow.device, SampleRow.digest)
    made = {tuple(found) for found in insert_new(session, SampleRow, complete, columns)}
    fates = []
    for row in rows:
        key = tuple(row[column.key] for column in columns)
        fates.append(Fate.STORED if key in made else Fate.DUPLICATE)
        made.discard(key)
    for tenant, device in {(row["tenant"], row["device"]) for row in rows}:
        _let_oldest_go(session, tenant, device)
    return fates


def choose(offers: Iterable[Sample], asked: Counter[str], *, most: int, each: int) -> list[Sample]:
    """Return the samples to ask for: the most telling first, `each` of a device at most. Pure.

    Args:
        offers: what there is.
        asked: how many each device was asked for already.
        most: how many in all.
        each: how many of one device, those already asked for among them.
    """
    left = Counter(asked)
    chosen: list[Sample] = []
    for offer in sorted(offers, key=_telling):
        if len(chosen) < most and left[offer.device] < each:
            left[offer.device] += 1
            chosen.append(offer)
    return chosen


def ask(
    session: Session,
    tenant: str,
    bundle: str,
    *,
    most: int,
    each: int,
    since_s: float | None,
    day_s: float,
    now_s: float,
) -> tuple[Sample, ...]:
    """Ask for samples of a bundle, counting what was asked of a device since a day ago."""
    taken = select(SampleRow.device, func.count()).where(
        SampleRow.tenant == tenant,
        SampleRow.state.in_(_BURDENS),
        SampleRow.changed_s >= day_s,
    )
    asked: Counter[str] = Counter()
    for device, count in session.execute(taken.group_by(SampleRow.device)):
        asked[device] = count
    offers = listed(
        session, tenant, SampleState.OFFERED, bundle=bundle, device=None, limit=MAX_CONSIDERED
    )
    wanted = [offer for offer in offers if since_s is None or offer.at_s >= since_s]
    chosen = choose(wanted, asked, most=most, each=each)
    for sample in chosen:
        move(session, tenant, sample.device, sample.digest, SampleState.ASKED, now_s)
    return tuple(chosen)


def move(
    session: Session, tenant: str, device: str, name: str, state: SampleState, now_s: float
) -> bool:
    """Bring a sample into a state and return whether it could be."""
    moved = session.execute(
        update(SampleRow)
        .where(
            SampleRow.tenant == tenant,
            SampleRow.device == device,
            SampleRow.digest == name,
            SampleRow.state.in_([before.value for before in FOLLOWS.get(state, ())]),
        )
        .values(state=state.value, changed_s=now_s)
        .returning(SampleRow.digest)
    ).all()
    return bool(moved)


def listed(
    session: Session,
    tenant: str,
    state: SampleState,
    *,
    bundle: str | None,
    device: str | None,
    limit: int | None,
) -> tuple[Sample, ...]:
    """Return the samples in a state, the newest first."""
    wanted: dict[str, Any] = {"tenant": tenant, "state": state.value}
    wanted |= {} if bundle is None else {"bundle": bundle}
    wanted |= {} if device is None else {"device": device}
    query = select(SampleRow).filter_by(**wanted)
    ordered = query.order_by(SampleRow.arrived_s.desc(), SampleRow.digest).limit(limit)
    return tuple(map(_sample, session.scalars(ordered)))


def holders(session: Session, tenant: str, state: SampleState) -> tuple[str, ...]:
    """Return the devices that have samples in a state, in the order of their names."""
    query = select(SampleRow.device).filter_by(tenant=tenant, state=state.value).distinct()
    return tuple(session.scalars(query.order_by(SampleRow.device)))


def expire(session: Session, before_s: float, now_s: float) -> None:
    """Let offers and requests go that nothing has happened to since some time."""
    session.execute(
        update(SampleRow)
        .where(SampleRow.state.in_(_UNTOUCHED), SampleRow.changed_s < before_s)
        .values(state=SampleState.EXPIRED.value, changed_s=now_s)
    )


def _let_oldest_go(session: Session, tenant: str, device: str) -> None:
    mine = (
        SampleRow.tenant == tenant,
        SampleRow.device == device,
        SampleRow.state == SampleState.OFFERED.value,
    )
    newest_first = (SampleRow.arrived_s.desc(), SampleRow.at_s.desc(), SampleRow.digest)
    old = select(SampleRow.digest).where(*mine).order_by(*newest_first).offset(MAX_OFFERED)
    session.execute(
        update(SampleRow)
        .where(*mine, SampleRow.digest.in_(old.scalar_subquery()))
        .values(state=SampleState.EXPIRED.value)
    )


def _telling(sample: Sample) -> tuple[int, float, str]:
    """Order samples: out of range before uncertain before random, the extreme ones first."""
    if sample.reason == "out-of-range":
        return 0, -sample.score, sample.digest
    return (
        (1, sample.score, sample.digest)
        if sample.reason == "uncertain"
        else (2, 0.0, sample.digest)
    )


def _sample(row: SampleRow) -> Sample:
    return Sample(
        device=row.device,
        deployment=row.deployment,
        digest=row.digest,
        result=row.result,
        bundle=row.bundle,
        length_bytes=row.length_bytes,
        reason=row.reason,
        score=row.score,
        outputs=row.outputs,
        at_s=row.at_s,
        state=SampleState(row.state),
    )
