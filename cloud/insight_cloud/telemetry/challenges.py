# SPDX-License-Identifier: Apache-2.0
"""What challengers did, added up for each deployment, inside a transaction of the service's.

A report is added in the transaction that first stores it, so a copy adds nothing. Who is right
where two bundles differ is told by outcomes, joined by bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from insight_cloud.telemetry.heads import ChallengeHead
from insight_cloud.telemetry.storing import insert_new
from insight_cloud.telemetry.tables import ChallengeRow
from insight_edge.documents.challenge import (
    Challenge,
    Disagreement,
    OutputDisagreement,
    merged,
    together,
)
from insight_edge.documents.codec import decode_json, encode_json

MAX_PAIRS = 64
"""Bundles that one challenger is told to have been compared with; more are left out."""

_NOTHING = encode_json(Challenge())

Key = tuple[str, str, str, str]
"""Tenant, device, deployment and bundle."""


@dataclass(frozen=True, kw_only=True)
class Challenged:
    """What one bundle did as a challenger on one deployment.

    Attributes:
        changed_s: when its latest report came, by the cloud's clock.
        told: all its windows together.
    """

    device: str
    deployment: str
    bundle: str
    changed_s: float
    told: Challenge


def add(session: Session, told: Sequence[tuple[dict[str, Any], ChallengeHead]]) -> None:
    """Add what reports say that are stored for the first time, each with its row."""
    by_key: dict[Key, list[tuple[float, Challenge]]] = {}
    for row, head in told:
        key = (row["tenant"], row["device"], row["deployment"], row["bundle"])
        by_key.setdefault(key, []).append((row["arrived_s"], _challenge(head)))
    for key in sorted(by_key):  # two transactions with the same keys wait for each other once
        _add(session, key, by_key[key])


def find(session: Session, wanted: dict[str, str]) -> tuple[Challenged, ...]:
    """Return what challengers did, the latest first."""
    query = select(ChallengeRow).filter_by(**wanted).order_by(ChallengeRow.changed_s.desc())
    return tuple(
        Challenged(
            device=row.device,
            deployment=row.deployment,
            bundle=row.bundle,
            changed_s=row.changed_s,
            told=decode_json(Challenge, row.told),
        )
        for row in session.scalars(query)
    )


def let_go(session: Session, before_s: float) -> None:
    """Delete what has not changed since."""
    session.execute(delete(ChallengeRow).where(ChallengeRow.changed_s < before_s))


def _add(session: Session, key: Key, several: list[tuple[float, Challenge]]) -> None:
    values = dict(zip(("tenant", "device", "deployment", "bundle"), key, strict=True))
    empty = values | {"changed_s": 0.0, "told": _NOTHING}
    insert_new(session, ChallengeRow, [empty], [ChallengeRow.device])
    row = session.scalars(select(ChallengeRow).filter_by(**values).with_for_update()).one()
    parts = [decode_json(Challenge, row.told), *(part for _, part in several)]
    found = together(parts)
    kept = msgspec.structs.replace(found, disagreements=found.disagreements[:MAX_PAIRS])
    row.told = encode_json(kept)
    row.changed_s = max(row.changed_s, *(arrived_s for arrived_s, _ in several))


def _challenge(head: ChallengeHead) -> Challenge:
    plain = msgspec.structs.asdict(head)
    parts = (
        Disagreement(
            against=part.against,
            rows=part.rows,
            differing=part.differing,
            odd=part.odd,
            outputs=tuple(
                OutputDisagreement(name=o.name, differing=o.differing, decibels=o.decibels)
                for o in part.outputs
            ),
        )
        for part in head.disagreements
    )
    return Challenge(**plain | {"disagreements": merged(parts)})
