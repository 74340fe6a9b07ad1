# SPDX-License-Identifier: Apache-2.0
"""The tables of rollouts; only this domain imports them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row

ROLLOUT = ["rollouts_rollout.tenant", "rollouts_rollout.id"]


class RolloutRow(Row):
    """A rollout and how it stands.

    Attributes:
        selection, plan: JSON.
        decisions, events: how many there are.
    """

    __tablename__ = "rollouts_rollout"
    __table_args__ = (Index(None, "tenant", "state"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str]
    version: Mapped[int]
    deployment: Mapped[str]
    selection: Mapped[str]
    plan: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str]
    wave: Mapped[int]
    waves: Mapped[int]
    deadline: Mapped[datetime | None]
    waived: Mapped[bool]
    by: Mapped[str]
    created: Mapped[datetime]
    changed: Mapped[datetime]
    decisions: Mapped[int] = mapped_column(default=0)
    events: Mapped[int] = mapped_column(default=0)


class MemberRow(Row):
    """A device in a rollout; what it is told is written here before it is told."""

    __tablename__ = "rollouts_member"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "rollout"], ROLLOUT),
        Index(None, "tenant", "device"),
    )

    rollout: Mapped[int] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    profile: Mapped[str]
    wave: Mapped[int | None]
    bundle: Mapped[str | None]
    state: Mapped[str]
    note: Mapped[str]
    before: Mapped[str | None]
    revision: Mapped[int | None] = mapped_column(BigInteger)
    asked: Mapped[datetime | None]
    committed: Mapped[datetime | None]
    changed: Mapped[datetime]


class DecisionRow(Row):
    """A decision, its reason, and the figures it was taken on as JSON; never changed."""

    __tablename__ = "rollouts_decision"
    __table_args__ = (ForeignKeyConstraint(["tenant", "rollout"], ROLLOUT),)

    rollout: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    decision: Mapped[str]
    reason: Mapped[str]
    by: Mapped[str]
    wave: Mapped[int]
    figures: Mapped[str]


class EventRow(Row):
    """One thing that happened in a rollout; never changed."""

    __tablename__ = "rollouts_event"
    __table_args__ = (ForeignKeyConstraint(["tenant", "rollout"], ROLLOUT),)

    rollout: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str]
    text: Mapped[str]
    device: Mapped[str | None]
