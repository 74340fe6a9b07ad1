# SPDX-License-Identifier: Apache-2.0
"""A database of an earlier release: what it had not added up yet is added up by this one."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import column, table, text

from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.migration import migration_config, upgrade
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.codec import digest
from insight_edge.documents.report import Report
from tests.fakes.telemetry import BUNDLE, KNOWN, NOW, NOW_S, message, report, sum_of

BEFORE = "0009"
OTHER = "sha256:" + "e" * 64
COLUMNS = (
    "tenant", "device", "deployment", "boot", "sequence", "bundle", "hour", "state", "opened_s",
    "closed_s", "arrived_s", "asked", "answered", "failed", "observed", "flagged", "broken",
    "p99_ns", "digest", "payload",
)  # fmt: skip


def old_row(of: Report, state: str, payload: bytes | None) -> dict[str, Any]:
    window, counts = of.window, of.counts
    figures = (
        counts.asked, counts.answered, counts.failed, counts.observed, counts.flagged,
        counts.broken,
    )  # fmt: skip
    values = (
        "default", of.device, of.deployment, of.boot, of.sequence, of.bundle,
        int(window.closed_s // 3600), state, window.opened_s, window.closed_s, NOW_S, *figures,
        of.latency.max_ns, digest(message(of)[1]), payload,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def moved(database: Database, move: Callable[[Config, str], None]) -> None:
    config = migration_config()
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        move(config, BEFORE)


def payloads(database: Database) -> Sequence[Any]:
    query = "SELECT sequence, payload FROM telemetry_report ORDER BY sequence"
    with database.read() as session:
        return [tuple(row) for row in session.execute(text(query))]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A database of the release before, with reports in every state."""
    database = open_database(tmp_path / "cloud.sqlite")
    moved(database, command.upgrade)
    rows = [
        old_row(report(0), "merged", None),
        *(old_row(report(n), "new", message(report(n))[1]) for n in range(1, 300)),
        old_row(report(300, bundle=OTHER), "waiting", message(report(300, bundle=OTHER))[1]),
        old_row(report(301, bundle=OTHER), "waiting", None),
    ]
    with database.write() as session:
        session.execute(table("telemetry_report", *map(column, COLUMNS)).insert(), rows)
    return database


def test_what_was_not_added_up_yet_is(database: Database, tmp_path: Path) -> None:
    upgrade(database)
    known: dict[str, KnownBundle] = {BUNDLE: KNOWN}
    telemetry = Telemetry(database, known.get, tmp_path)
    assert telemetry.health()["camera-1"].waiting == 301
    assert telemetry.release_waiting(NOW) == 1
    while telemetry.roll_up(NOW):
        pass
    since, until = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    [found] = telemetry.totals(since=since, until=until).values()
    assert found == sum_of([report(n) for n in range(1, 300)])
    copies = telemetry.ingest([message(report(0)), message(report(5))], NOW)
    assert [receipt.fate.name for receipt in copies] == ["DUPLICATE", "DUPLICATE"]


def test_what_earlier_releases_let_go_of_is_put_away(database: Database, tmp_path: Path) -> None:
    upgrade(database)
    telemetry = Telemetry(database, lambda _: KNOWN, tmp_path)
    assert telemetry.release_waiting(NOW) == 2
    while telemetry.roll_up(NOW):
        pass
    found = telemetry.health()["camera-1"]
    assert (found.reports, found.merged, found.waiting, found.missing) == (302, 301, 0, 0)
    assert len(telemetry.quarantined()) == 1


def test_the_way_back_keeps_what_is_still_as_it_came(database: Database) -> None:
    before = payloads(database)
    upgrade(database)
    moved(database, command.downgrade)
    assert payloads(database) == [(n, b"" if n == 301 else kept) for n, kept in before]
