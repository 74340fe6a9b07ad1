# SPDX-License-Identifier: Apache-2.0
"""Nothing that is done for every batch reads a table that grows from end to end."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from insight_cloud.platform.database import Database
from insight_cloud.telemetry.service import Telemetry
from tests.fakes.telemetry import (
    BUNDLE,
    NOW,
    find_bundle,
    message,
    offer,
    outcome,
    predictions,
    report,
)

HOUR = timedelta(hours=1)
READS_ALL = re.compile(r"SCAN telemetry_(?!pending USING INDEX)\w+")
"""What waits to be added up has an index of its own, in which there is nothing else."""

Executed = list[tuple[str, tuple[Any, ...]]]


@contextmanager
def executed() -> Iterator[Executed]:
    """Note statements, each with the parameters of its first row."""
    found: Executed = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        many = parameters and isinstance(parameters[0], (tuple, list))
        found.append((statement, tuple(parameters[0] if many else parameters)))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def plans(database: Database, statements: Executed) -> dict[str, list[str]]:
    """Return how SQLite goes about each statement."""
    with database.read() as session:
        connection = session.connection()
        return {
            statement: [
                step.detail
                for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            ]
            for statement, values in statements
            if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
        }


def several(first: int, last: int) -> list[Any]:
    return [message(report(number, device=f"camera-{number % 3}")) for number in range(first, last)]


@pytest.fixture
def telemetry(database: Database, tmp_path: Path) -> Telemetry:
    made = Telemetry(database, find_bundle, tmp_path, segment_rows=10)
    made.ingest(several(0, 20), NOW)
    made.roll_up(NOW)
    return made


def test_no_batch_reads_a_whole_table(database: Database, telemetry: Telemetry) -> None:
    others = [message(each) for each in (predictions((1, 2)), outcome(1, 0), offer())]
    with executed() as statements:
        telemetry.ingest([*several(20, 40), *others], NOW)
        telemetry.ingest([*several(10, 50), *others], NOW)
        assert telemetry.roll_up(NOW) == 30
        telemetry.release_waiting(NOW)
        telemetry.flush(NOW)
    found = plans(database, statements)
    assert len(found) > 15
    assert [each for each in found.items() if READS_ALL.search(" ".join(each[1]))] == []


def test_no_page_about_one_thing_reads_a_whole_table(
    database: Database, telemetry: Telemetry
) -> None:
    with executed() as statements:
        telemetry.health(device="camera-1")
        telemetry.windows("camera-1", "default")
        telemetry.totals(since=NOW - HOUR, until=NOW, device="camera-1")
        telemetry.totals(since=NOW - HOUR, until=NOW, bundle=BUNDLE)
        assert telemetry.segments(BUNDLE, after=1)
        telemetry.joined(BUNDLE, NOW - HOUR)
        telemetry.wanted_uploads("camera-1")
    found = plans(database, statements)
    assert len(found) > 8
    assert [each for each in found.items() if READS_ALL.search(" ".join(each[1]))] == []
