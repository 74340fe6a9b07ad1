# SPDX-License-Identifier: Apache-2.0
"""The reports that are measured are such as the cloud takes, and none comes twice."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from benchmarks.reports import BUNDLE, KINDS, ROWS, known_bundle, messages
from insight_cloud.telemetry.rules import Fate
from insight_cloud.telemetry.service import Telemetry
from tests.fakes.migrated import migrated_database

DEVICES = 20
COUNT = KINDS + DEVICES + 7


def test_measured_reports_are_added_up(tmp_path: Path) -> None:
    database = migrated_database(tmp_path / "cloud.sqlite")
    known, now = known_bundle(), datetime.now(UTC)
    telemetry = Telemetry(database, lambda _: known, tmp_path / "log")
    receipts = telemetry.ingest(list(islice(messages(DEVICES), COUNT)), now)
    assert {receipt.fate for receipt in receipts} == {Fate.STORED}
    while telemetry.roll_up(now):
        pass
    found = telemetry.health()
    assert sum(each.merged for each in found.values()) == COUNT
    assert (len(found), sum(each.missing for each in found.values())) == (DEVICES, 0)
    segments = telemetry.segments(BUNDLE, limit=COUNT)
    assert {each.rows for each in segments} == {-(-200 // ROWS) * ROWS}
    database.close()
