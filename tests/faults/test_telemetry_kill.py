# SPDX-License-Identifier: Apache-2.0
"""Checklist 50 and 58: an ingester is killed at any moment; what it acknowledged is there, once."""

from datetime import timedelta
from pathlib import Path

import pytest

from insight_cloud.telemetry.rules import Fate
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.codec import digest
from tests.fakes.ingester import allow, start_ingester, write_messages
from tests.fakes.migrated import migrated_database
from tests.fakes.telemetry import BUNDLE, NOW, find_bundle, merged, message, report, sum_of

REPORTS = [report(number // 3, device=f"camera-{number % 3}") for number in range(240)]
BATCH = 6


@pytest.mark.parametrize("batches", [1, 9, 23])
def test_a_killed_ingester_loses_nothing_it_acknowledged(tmp_path: Path, batches: int) -> None:
    database = migrated_database(tmp_path / "cloud.sqlite")
    messages = [message(each) for each in REPORTS]
    write_messages(tmp_path / "messages", messages)
    child = start_ingester(tmp_path / "cloud.sqlite", tmp_path / "messages", BATCH)
    allow(child, batches + 1)
    assert child.stdout is not None
    acknowledged = [name for _ in range(batches) for name in child.stdout.readline().split()]
    child.kill()
    acknowledged += child.communicate(timeout=60)[0].split()
    assert child.returncode == -9

    telemetry = Telemetry(database, find_bundle, tmp_path / "log")
    fates = {r.digest: r.fate for r in telemetry.ingest(messages, NOW)}
    assert {fates[name] for name in acknowledged} == {Fate.DUPLICATE}
    assert set(fates) == {digest(payload) for _, payload in messages}
    assert Fate.STORED in fates.values(), "it was killed before it was through"
    for _ in range(2):
        found = telemetry.totals(since=NOW, until=NOW + timedelta(hours=1))
        assert {slot.device: total for slot, total in found.items()} == {
            f"camera-{n}": sum_of([r for r in REPORTS if r.device == f"camera-{n}"])
            for n in range(3)
        }
        while telemetry.roll_up(NOW):
            pass
    telemetry.roll_up(NOW + timedelta(days=1))
    segments = telemetry.segments(BUNDLE)
    assert len(segments) > 1
    assert merged([each.totals for each in segments]) == sum_of(REPORTS)
    database.close()
