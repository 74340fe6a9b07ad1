# SPDX-License-Identifier: Apache-2.0
"""Telemetry: what is to be added up of reports is kept by batches, and not in their rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

AT_ONCE = 200
KEY = ("tenant", "device", "deployment", "boot", "sequence")
PACKED = (*KEY, "bundle", "hour", "opened_s", "closed_s", "arrived_s")
"""Of each report of a batch, in this order."""

FEW_REPORTS = {
    "ix_telemetry_report_hour_device": (["hour", "device"], "state = 'new'"),
    "ix_telemetry_report_tenant_bundle": (["tenant", "bundle"], "state = 'waiting'"),
}
FEW_PENDING = {
    "ix_telemetry_pending_id": (["id"], "state = 'new'"),
    "ix_telemetry_pending_tenant_bundle": (["tenant", "bundle"], "state = 'waiting'"),
}
HAS_BATCH = {"ix_telemetry_report_batch": (["batch"], "batch IS NOT NULL")}

REPORT = sa.table(
    "telemetry_report", *map(sa.column, (*PACKED, "payload", "state", "length_bytes", "batch"))
)
PENDING = sa.table(
    "telemetry_pending",
    *map(sa.column, ("tenant", "id", "bundle", "state", "arrived_s", "reports", "packed")),
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "telemetry_pending",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("arrived_s", sa.Double(), nullable=False),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_telemetry_pending")),
    )
    op.add_column("telemetry_report", sa.Column("length_bytes", sa.Integer(), nullable=True))
    op.add_column("telemetry_report", sa.Column("batch", sa.String(), nullable=True))
    op.execute(sa.update(REPORT).values(length_bytes=sa.func.length(REPORT.c.payload)))
    for number, rows in enumerate(_batches()):
        _pack(f"{number:032x}", rows)
    _index("telemetry_pending", FEW_PENDING)
    _index("telemetry_report", HAS_BATCH)
    for name in FEW_REPORTS:
        op.drop_index(op.f(name), "telemetry_report")
    op.drop_column("telemetry_report", "payload")


def downgrade() -> None:
    """Take it back; of reports that are not as they came any more, there is no payload then."""
    op.add_column("telemetry_report", sa.Column("payload", sa.LargeBinary(), nullable=True))
    connection = op.get_bind()
    for (packed,) in connection.execute(sa.select(PENDING.c.packed)).all():
        reports, payloads, _ = msgspec.msgpack.decode(packed)
        for values, payload in zip(reports, payloads or (), strict=False):
            report = dict(zip(PACKED, values, strict=True))
            where = [REPORT.c[name] == report[name] for name in KEY]
            connection.execute(sa.update(REPORT).where(*where).values(payload=payload))
    op.drop_index(op.f("ix_telemetry_report_batch"), "telemetry_report")
    _index("telemetry_report", FEW_REPORTS)
    op.drop_column("telemetry_report", "batch")
    op.drop_column("telemetry_report", "length_bytes")
    op.drop_table("telemetry_pending")


def _batches() -> Iterator[Sequence[sa.Row[Any]]]:
    """Yield the reports that are not added up yet: of one bundle at a time."""
    of_one = ("tenant", "bundle")
    columns = [REPORT.c[name] for name in (*PACKED, "payload")]
    to_do = sa.select(*columns).where(REPORT.c.state.in_(("new", "waiting")))
    found = op.get_bind().execute(to_do.order_by(*(REPORT.c[name] for name in of_one))).all()
    groups: dict[tuple[Any, ...], list[sa.Row[Any]]] = {}
    for row in found:
        groups.setdefault(tuple(getattr(row, name) for name in of_one), []).append(row)
    for rows in groups.values():
        for begin in range(0, len(rows), AT_ONCE):
            yield rows[begin : begin + AT_ONCE]


def _pack(name: str, rows: Sequence[sa.Row[Any]]) -> None:
    """Let reports wait as they came: the worker looks at them when their bundle is known."""
    connection, first = op.get_bind(), rows[0]
    packed = [[[*row[: len(PACKED)]] for row in rows], [row.payload or b"" for row in rows], None]
    connection.execute(
        sa.insert(PENDING).values(
            tenant=first.tenant,
            id=name,
            bundle=first.bundle,
            state="waiting",
            arrived_s=min(row.arrived_s for row in rows),
            reports=len(rows),
            packed=msgspec.msgpack.encode(packed),
        )
    )
    for row in rows:
        where = [REPORT.c[column] == getattr(row, column) for column in KEY]
        connection.execute(sa.update(REPORT).where(*where).values(batch=name, state="waiting"))


def _index(table: str, indices: dict[str, tuple[list[str], str]]) -> None:
    for name, (columns, condition) in indices.items():
        where = sa.text(condition)
        op.create_index(op.f(name), table, columns, sqlite_where=where, postgresql_where=where)
