# SPDX-License-Identifier: Apache-2.0
"""Join results with what came true, and count, inside a transaction of the service's."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, and_, case, cast, func, select
from sqlalchemy.orm import Session, aliased

from insight_cloud.telemetry.classes import same_class
from insight_cloud.telemetry.rules import HOUR_S, hour_of
from insight_cloud.telemetry.storing import placed_column
from insight_cloud.telemetry.tables import OutcomeRow, PredictionRow


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The sampled results of some time, an hour or another step, by how they turned out.

    Attributes:
        begin_s: of the step, since the epoch; a result is in it by when it was answered, as far
            as that is believed.
        predictions: results that were sampled.
        outcomes: of these, known by now how they turned out.
        judged: of these, comparable: both sides name a class.
        correct: of these, right.
    """

    begin_s: int
    predictions: int = 0
    outcomes: int = 0
    judged: int = 0
    correct: int = 0

    @property
    def hour(self) -> int:
        """The hour since the epoch in which the step begins."""
        return self.begin_s // HOUR_S


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Results of one step with one class predicted and one true."""

    begin_s: int
    predicted: tuple[int | None, str | None]
    true: tuple[int | None, str | None]
    known: bool
    count: int


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which results.

    Attributes:
        since_s: the first step is the one that holds it.
        each_s: how long a step is.
        device: None for all.
    """

    tenant: str
    bundle: str
    since_s: float
    each_s: int
    device: str | None


def joined(session: Session, asked: Asked, classes: Sequence[str]) -> tuple[Joined, ...]:
    """Return how results of a bundle turned out, each step alone."""
    return judge(_cells(session, asked), classes)


def judge(cells: Iterable[Cell], classes: Sequence[str]) -> tuple[Joined, ...]:
    """Return the counts of the cells, by step. Pure."""
    steps: defaultdict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        steps[cell.begin_s].append(cell)
    return tuple(_judged(begin_s, steps[begin_s], classes) for begin_s in sorted(steps))


def _judged(begin_s: int, cells: Sequence[Cell], classes: Sequence[str]) -> Joined:
    total = Joined(begin_s=begin_s)
    for cell in cells:
        same = same_class(cell.predicted, cell.true, classes) if cell.known else None
        total = replace(
            total,
            predictions=total.predictions + cell.count,
            outcomes=total.outcomes + cell.known * cell.count,
            judged=total.judged + (same is not None) * cell.count,
            correct=total.correct + (same is True) * cell.count,
        )
    return total


def _cells(session: Session, asked: Asked) -> list[Cell]:
    """Count in the database, so that no result is read; an outcome by id goes before one by key."""
    result, by_id, by_key = PredictionRow, aliased(OutcomeRow), aliased(OutcomeRow)
    found = by_id.subject.is_not(None)
    at_s = placed_column(result.at_s, result.arrived_s)
    whole_s = cast(at_s, BigInteger)  # cut off or rounded, as the database likes it
    step = case((whole_s > at_s, whole_s - 1), else_=whole_s) // asked.each_s
    first = math.floor(asked.since_s / asked.each_s)
    wanted = [step >= first, result.hour >= hour_of(first * asked.each_s)]
    wanted += [] if asked.device is None else [result.device == asked.device]
    columns = (
        step.label("step"),
        result.class_index,
        result.class_name,
        case((found, by_id.class_index), else_=by_key.class_index).label("true_index"),
        case((found, by_id.class_name), else_=by_key.class_name).label("true_name"),
        func.coalesce(by_id.subject, by_key.subject).is_not(None).label("known"),
    )
    query = (
        select(*columns, func.count())
        .select_from(result)
        .outerjoin(by_id, and_(by_id.tenant == result.tenant, by_id.subject == result.id))
        .outerjoin(
            by_key, and_(by_key.tenant == result.tenant, by_key.subject == result.key_subject)
        )
        .where(result.tenant == asked.tenant, result.bundle == asked.bundle, *wanted)
        .group_by(*columns)
    )
    return [
        Cell(
            begin_s=number * asked.each_s,
            predicted=(index, name),
            true=(true_index, true_name),
            known=bool(known),
            count=count,
        )
        for number, index, name, true_index, true_name, known, count in session.execute(query)
    ]
