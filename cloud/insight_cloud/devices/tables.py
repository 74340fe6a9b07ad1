# SPDX-License-Identifier: Apache-2.0
"""The tables of devices; only this domain imports them."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from insight_cloud.platform.schema import Row

DEVICE = ["devices_device.tenant", "devices_device.name"]


class InvitationRow(Row):
    """A token that makes one device; its own text is nowhere."""

    __tablename__ = "devices_invitation"
    __table_args__ = (UniqueConstraint("token_hash"),)

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str | None]
    by: Mapped[str]
    created: Mapped[datetime]
    expires: Mapped[datetime]
    used: Mapped[datetime | None]
    made: Mapped[str | None]


class DeviceRow(Row):
    """A device and its last words; a name is given once and never again."""

    __tablename__ = "devices_device"
    __table_args__ = (UniqueConstraint("secret_hash"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    profile: Mapped[str]
    secret_hash: Mapped[str | None]
    deployments: Mapped[list[str]] = mapped_column(JSON)
    facts: Mapped[str]
    enrolled: Mapped[datetime]
    retired: Mapped[datetime | None]
    agent: Mapped[str | None]
    session: Mapped[str | None]
    online: Mapped[bool] = mapped_column(default=False)
    ended: Mapped[list[str]] = mapped_column(JSON, default=list)
    born: Mapped[datetime | None]
    last_seen: Mapped[datetime | None]
    birth_s: Mapped[float | None]
    held: Mapped[bool] = mapped_column(default=False)
    reported: Mapped[str | None]
    told: Mapped[bool] = mapped_column(default=False)
    accepted: Mapped[int] = mapped_column(BigInteger, default=0)
    desired: Mapped[int] = mapped_column(BigInteger, default=0)
    events: Mapped[int] = mapped_column(default=0)


class DeploymentRow(Row):
    """What a device says of one deployment, for looking devices up by it."""

    __tablename__ = "devices_deployment"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "device"], DEVICE),
        Index(None, "tenant", "serving"),
    )

    device: Mapped[str] = mapped_column(primary_key=True)
    deployment: Mapped[str] = mapped_column(primary_key=True)
    phase: Mapped[str]
    serving: Mapped[str | None]
    committed: Mapped[str | None]
    attached: Mapped[bool]


class DesiredRow(Row):
    """What a device should run; one row a revision, never changed."""

    __tablename__ = "devices_desired"
    __table_args__ = (ForeignKeyConstraint(["tenant", "device"], DEVICE),)

    device: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    content: Mapped[str]
    by: Mapped[str]
    at: Mapped[datetime]


class EventRow(Row):
    """One thing that happened to a device."""

    __tablename__ = "devices_event"
    __table_args__ = (ForeignKeyConstraint(["tenant", "device"], DEVICE),)

    device: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str]
    text: Mapped[str]
    deployment: Mapped[str | None]
    bundle: Mapped[str | None]
