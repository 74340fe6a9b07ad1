# SPDX-License-Identifier: Apache-2.0
"""Devices, and what they count and answer."""

import sqlalchemy as sa
from alembic import op

from insight_cloud.platform.schema import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    "devices_invitation",
    "devices_device",
    "devices_deployment",
    "devices_desired",
    "devices_event",
    "telemetry_report",
    "telemetry_totals",
    "telemetry_quarantine",
    "telemetry_prediction",
    "telemetry_outcome",
    "telemetry_sample",
)


def upgrade() -> None:
    """Apply."""
    _devices()
    _reports()
    _results()


def downgrade() -> None:
    """Take back."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _devices() -> None:
    op.create_table(
        "devices_invitation",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("created", UtcTime(), nullable=False),
        sa.Column("expires", UtcTime(), nullable=False),
        sa.Column("used", UtcTime(), nullable=True),
        sa.Column("made", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "token_hash", name=op.f("pk_devices_invitation")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_devices_invitation_token_hash")),
    )
    op.create_table(
        "devices_device",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=True),
        sa.Column("deployments", sa.JSON(), nullable=False),
        sa.Column("facts", sa.String(), nullable=False),
        sa.Column("enrolled", UtcTime(), nullable=False),
        sa.Column("retired", UtcTime(), nullable=True),
        sa.Column("agent", sa.String(), nullable=True),
        sa.Column("session", sa.String(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("ended", sa.JSON(), nullable=False),
        sa.Column("born", UtcTime(), nullable=True),
        sa.Column("last_seen", UtcTime(), nullable=True),
        sa.Column("birth_s", sa.Double(), nullable=True),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("reported", sa.String(), nullable=True),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("desired", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_devices_device")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_devices_device_secret_hash")),
    )
    op.create_table(
        "devices_deployment",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("serving", sa.String(), nullable=True),
        sa.Column("committed", sa.String(), nullable=True),
        sa.Column("attached", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "device"],
            ["devices_device.tenant", "devices_device.name"],
            name=op.f("fk_devices_deployment_devices_device"),
        ),
        sa.PrimaryKeyConstraint(
            "tenant", "device", "deployment", name=op.f("pk_devices_deployment")
        ),
    )
    op.create_index(
        op.f("ix_devices_deployment_tenant_serving"),
        "devices_deployment",
        ["tenant", "serving"],
        unique=False,
    )
    op.create_table(
        "devices_desired",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "device"],
            ["devices_device.tenant", "devices_device.name"],
            name=op.f("fk_devices_desired_devices_device"),
        ),
        sa.PrimaryKeyConstraint("tenant", "device", "revision", name=op.f("pk_devices_desired")),
    )
    op.create_table(
        "devices_event",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=True),
        sa.Column("bundle", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "device"],
            ["devices_device.tenant", "devices_device.name"],
            name=op.f("fk_devices_event_devices_device"),
        ),
        sa.PrimaryKeyConstraint("tenant", "device", "number", name=op.f("pk_devices_event")),
    )


def _reports() -> None:
    op.create_table(
        "telemetry_report",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("boot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("opened_s", sa.Double(), nullable=False),
        sa.Column("closed_s", sa.Double(), nullable=False),
        sa.Column("arrived_s", sa.Double(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("observed", sa.BigInteger(), nullable=False),
        sa.Column("flagged", sa.BigInteger(), nullable=False),
        sa.Column("broken", sa.BigInteger(), nullable=False),
        sa.Column("p99_ns", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant", "device", "deployment", "boot", "sequence", name=op.f("pk_telemetry_report")
        ),
    )
    op.create_index(
        op.f("ix_telemetry_report_state_hour_device"),
        "telemetry_report",
        ["state", "hour", "device"],
        unique=False,
    )
    op.create_table(
        "telemetry_totals",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reports", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("observed", sa.BigInteger(), nullable=False),
        sa.Column("flagged", sa.BigInteger(), nullable=False),
        sa.Column("broken", sa.BigInteger(), nullable=False),
        sa.Column("statistics", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "device", "deployment", "bundle", "hour", name=op.f("pk_telemetry_totals")
        ),
    )
    op.create_index(
        op.f("ix_telemetry_totals_tenant_bundle_hour"),
        "telemetry_totals",
        ["tenant", "bundle", "hour"],
        unique=False,
    )
    op.create_table(
        "telemetry_quarantine",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("fault", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("arrived_s", sa.Double(), nullable=False),
        sa.Column("length_bytes", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_telemetry_quarantine")),
    )
    op.create_index(
        op.f("ix_telemetry_quarantine_tenant_device_arrived_s"),
        "telemetry_quarantine",
        ["tenant", "device", "arrived_s"],
        unique=False,
    )


def _results() -> None:
    op.create_table(
        "telemetry_prediction",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("key_subject", sa.String(), nullable=True),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("arrived_s", sa.Double(), nullable=False),
        sa.Column("class_index", sa.BigInteger(), nullable=True),
        sa.Column("class_name", sa.String(), nullable=True),
        sa.Column("outputs", sa.String(), nullable=True),
        sa.Column("logged", sa.Boolean(), nullable=False),
        sa.Column("file", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_telemetry_prediction")),
    )
    op.create_index(
        op.f("ix_telemetry_prediction_logged_file"),
        "telemetry_prediction",
        ["logged", "file"],
        unique=False,
    )
    op.create_index(
        op.f("ix_telemetry_prediction_tenant_bundle_hour"),
        "telemetry_prediction",
        ["tenant", "bundle", "hour"],
        unique=False,
    )
    op.create_table(
        "telemetry_outcome",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("class_index", sa.BigInteger(), nullable=True),
        sa.Column("class_name", sa.String(), nullable=True),
        sa.Column("number", sa.Double(), nullable=True),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("arrived_s", sa.Double(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", name=op.f("pk_telemetry_outcome")),
    )
    op.create_table(
        "telemetry_sample",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("length_bytes", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("outputs", sa.String(), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("arrived_s", sa.Double(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("changed_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "device", "digest", name=op.f("pk_telemetry_sample")),
    )
    op.create_index(
        op.f("ix_telemetry_sample_tenant_device_state"),
        "telemetry_sample",
        ["tenant", "device", "state"],
        unique=False,
    )
    op.create_index(
        op.f("ix_telemetry_sample_tenant_state_bundle"),
        "telemetry_sample",
        ["tenant", "state", "bundle"],
        unique=False,
    )
