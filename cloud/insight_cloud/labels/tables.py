# SPDX-License-Identifier: Apache-2.0
"""The tables of labels; only this domain imports them."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row


class TaskRow(Row):
    """An input that people are asked about.

    Attributes:
        rank, rank_score: open tasks are asked in their order.
        decided_s: grows with every decision; the time of the outcome that tells it.
        owed: telemetry is to be told.
        told: telemetry may know a label.
    """

    __tablename__ = "label_task"
    __table_args__ = (
        UniqueConstraint("tenant", "device", "sample"),
        Index(None, "tenant", "state", "model", "rank", "rank_score"),
        Index(None, "owed"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str]
    deployment: Mapped[str]
    sample: Mapped[str]
    result: Mapped[str]
    bundle: Mapped[str]
    model: Mapped[str]
    version: Mapped[int] = mapped_column(BigInteger)
    classes: Mapped[list[str]] = mapped_column(JSON)
    reason: Mapped[str]
    score: Mapped[float]
    rank: Mapped[int]
    rank_score: Mapped[float]
    predicted_index: Mapped[int | None] = mapped_column(BigInteger)
    predicted_name: Mapped[str | None]
    at_s: Mapped[float]
    created: Mapped[datetime]
    state: Mapped[str]
    fault: Mapped[str | None]
    leased_by: Mapped[str | None]
    leased_until: Mapped[datetime | None]
    answers: Mapped[int] = mapped_column(default=0)
    people: Mapped[int] = mapped_column(default=0)
    agreed: Mapped[bool] = mapped_column(default=True)
    label_index: Mapped[int | None] = mapped_column(BigInteger)
    label_name: Mapped[str | None]
    label_by: Mapped[str | None]
    decided_s: Mapped[float | None]
    owed: Mapped[bool] = mapped_column(default=False)
    told: Mapped[bool] = mapped_column(default=False)


class AnswerRow(Row):
    """What one person said once; inserted, never updated."""

    __tablename__ = "label_answer"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "task"], ["label_task.tenant", "label_task.id"]),
        Index(None, "tenant", "by", "at"),
    )

    task: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    by: Mapped[str]
    kind: Mapped[str]
    label_index: Mapped[int | None] = mapped_column(BigInteger)
    label_name: Mapped[str | None]
    reason: Mapped[str]
    at: Mapped[datetime]
    corrects: Mapped[bool]


class ReviewsRow(Row):
    """How many people must agree on the inputs of a model; one that is not here needs one."""

    __tablename__ = "label_reviews"

    model: Mapped[str] = mapped_column(primary_key=True)
    reviews: Mapped[int]
    changed: Mapped[datetime]
