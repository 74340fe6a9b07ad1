# SPDX-License-Identifier: Apache-2.0
"""What is missing, came twice or was not believed; and reports that came before their bundle."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from insight_cloud.platform.database import Database
from insight_cloud.telemetry import tables
from insight_cloud.telemetry.health import Health
from insight_cloud.telemetry.joining import Joined
from insight_cloud.telemetry.retention import Retention
from insight_cloud.telemetry.rules import KnownBundle
from insight_cloud.telemetry.service import Telemetry
from insight_cloud.worker.adding import AddingUp
from insight_edge.documents.codec import Versioned
from insight_edge.documents.report import Report, Window
from tests.fakes.telemetry import (
    BUNDLE,
    KNOWN,
    NOW,
    NOW_S,
    OTHER,
    UNKNOWN,
    find_bundle,
    message,
    outcome,
    predictions,
    report,
    sum_of,
)


@pytest.fixture
def telemetry(database: Database, tmp_path: Path) -> Telemetry:
    return Telemetry(database, find_bundle, tmp_path / "log")


def take(telemetry: Telemetry, *documents: Versioned) -> None:
    telemetry.ingest([message(each) for each in documents], NOW)


def healths(telemetry: Telemetry) -> dict[str, Health]:
    """Return all but how long messages are, which is the packer's business."""
    return {name: replace(found, report_bytes=None) for name, found in telemetry.health().items()}


def test_reports_have_the_mean_length_of_their_messages(telemetry: Telemetry) -> None:
    several = [message(report(n)) for n in range(3)]
    telemetry.ingest(several, NOW)
    mean = sum(len(payload) for _, payload in several) / 3
    assert telemetry.health()["camera-1"].report_bytes == pytest.approx(mean)


def test_a_device_that_nothing_is_missing_of(telemetry: Telemetry) -> None:
    take(telemetry, *(report(n) for n in (2, 0, 1)), report(0, boot=2), report(0, deployment="b"))
    assert healths(telemetry) == {"camera-1": Health(device="camera-1", reports=5, newest_s=NOW_S)}
    while telemetry.roll_up(NOW):
        pass
    assert telemetry.health()["camera-1"].merged == 5
    assert telemetry.health(device="camera-2") == telemetry.health(tenant="other") == {}


def test_missing_numbers_are_counted_in_each_boot_until_they_come(telemetry: Telemetry) -> None:
    take(telemetry, report(1), report(4), report(2, boot=2), report(0, device="camera-2"))
    assert {name: found.missing for name, found in telemetry.health().items()} == {
        "camera-1": 3 + 2,
        "camera-2": 0,
    }
    take(telemetry, *(report(n) for n in (0, 2, 3)), report(0, boot=2), report(1, boot=2))
    assert telemetry.health(device="camera-1")["camera-1"].missing == 0


def test_what_comes_twice_or_is_not_believed_is_counted(telemetry: Telemetry) -> None:
    take(telemetry, report(0), report(0), outcome(1, "cat"), outcome(1, "cat"))
    take(telemetry, report(0), report(0, seed=7))
    impossible = report(1, latency=msgspec.structs.replace(report(1).latency, total_ns=1))
    take(telemetry, impossible, report(0, bundle=UNKNOWN, device="camera-2"))
    telemetry.roll_up(NOW)
    assert healths(telemetry) == {
        "camera-1": Health(
            device="camera-1",
            reports=2,
            merged=1,
            duplicates=3,
            quarantined=2,
            newest_s=NOW_S,
        ),
        "camera-2": Health(device="camera-2", reports=1, waiting=1, newest_s=NOW_S),
    }


def test_a_clock_that_is_wrong_makes_no_window_newer(telemetry: Telemetry) -> None:
    take(telemetry, report(0, window=Window(opened_s=0.0, closed_s=1e12)))
    assert telemetry.health()["camera-1"].newest_s == NOW_S


def test_what_was_let_go_is_not_missing(telemetry: Telemetry) -> None:
    keep = Retention(keys_s=3600.0)
    take(telemetry, report(0), report(2), report(0, boot=2))
    telemetry.roll_up(NOW)
    telemetry.ingest([message(report(5))], NOW + timedelta(hours=1))
    telemetry.forget(NOW + timedelta(hours=2), keep)
    [found] = telemetry.health().values()
    assert (found.reports, found.missing) == (1, 2)
    telemetry.roll_up(NOW)
    telemetry.forget(NOW + timedelta(hours=3), keep)
    telemetry.ingest([message(report(7))], NOW + timedelta(hours=3))
    [found] = telemetry.health().values()
    assert (found.reports, found.missing) == (1, 1)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.integers(0, 6))))
def test_missing_is_what_a_set_of_numbers_lacks(
    telemetry: Telemetry, database: Database, came: list[tuple[str, int, int]]
) -> None:
    with database.write() as session:
        for table in (tables.ReportRow, tables.IntakeRow):
            session.execute(delete(table))
    take(telemetry, *(report(n, device=device, boot=boot) for device, boot, n in came))
    for device, found in telemetry.health().items():
        runs = [{n for d, b, n in came if (d, b) == (device, boot)} for boot in (1, 2)]
        assert found.missing == sum(max(run) + 1 - len(run) for run in runs if run)
        assert found.reports == sum(map(len, runs))
        mine = [each for each in came if each[0] == device]
        assert found.duplicates == len(mine) - len(set(mine))


class Shelf:
    """Bundles that become known one after the other."""

    def __init__(self) -> None:
        self.known: dict[str, KnownBundle] = {}

    def __call__(self, name: str) -> KnownBundle | None:
        return self.known.get(name)


def bundle_totals(telemetry: Telemetry, bundle: str) -> list[object]:
    found = telemetry.totals(since=NOW, until=NOW + timedelta(hours=1), bundle=bundle)
    return list(found.values())


def test_reports_that_came_before_their_bundle_are_added_up_after(
    database: Database, tmp_path: Path
) -> None:
    shelf = Shelf()
    telemetry = Telemetry(database, shelf, tmp_path / "log", segment_rows=10)
    adding = AddingUp(telemetry, lambda: NOW)
    early: Sequence[Report] = [report(n) for n in range(3)]
    take(telemetry, *early, report(3, bundle=OTHER))
    assert adding.run() == 0
    assert telemetry.health()["camera-1"].waiting == 4
    shelf.known[BUNDLE] = KNOWN
    take(telemetry, report(4))
    assert AddingUp(telemetry, lambda: NOW).run() == 4
    assert bundle_totals(telemetry, BUNDLE) == [sum_of([*early, report(4)])]
    assert [found.rows for found in telemetry.segments(BUNDLE)] == [10, 10]
    assert telemetry.health()["camera-1"].waiting == 1
    assert telemetry.release_waiting(NOW) == 0
    shelf.known[OTHER] = KNOWN
    assert telemetry.release_waiting(NOW) == 1
    assert adding.run() == 1


def test_adding_up_ends_with_its_turn_or_when_nothing_is_left(telemetry: Telemetry) -> None:
    take(telemetry, *(report(n) for n in range(1400)))
    assert AddingUp(telemetry, lambda: NOW, budget_s=0.0).run() == 1000, "batches are not split"
    assert AddingUp(telemetry, lambda: NOW, budget_s=600.0).run() == 400
    assert AddingUp(telemetry, lambda: NOW).run() == 0


def test_results_are_joined_in_finer_steps_and_by_device(telemetry: Telemetry) -> None:
    begin_s = int(NOW_S)
    times = (NOW_S - 0.5, NOW_S, NOW_S + 9.999, NOW_S + 10.0, 5.0)
    take(telemetry, predictions((1, 2, 3, 4, 5), at_s=times))
    take(telemetry, predictions((1,), device="camera-2"), outcome(2, "cat"), outcome(4, "dog"))
    found = telemetry.joined(BUNDLE, NOW, each_s=10, device="camera-1")
    assert found == (
        Joined(begin_s=begin_s, predictions=3, outcomes=1, judged=1, correct=1),
        Joined(begin_s=begin_s + 10, predictions=1, outcomes=1, judged=1),
    )
    assert telemetry.joined(BUNDLE, NOW, each_s=10)[0].predictions == 4
    whole = telemetry.joined(BUNDLE, NOW)
    assert [(each.hour, each.predictions) for each in whole] == [(begin_s // 3600, 6)]
    assert sum(each.predictions for each in telemetry.joined(BUNDLE, NOW, each_s=7)) in {5, 6}
    assert telemetry.joined(BUNDLE, NOW, each_s=86_400)[0].begin_s == begin_s // 86_400 * 86_400
    with pytest.raises(ValueError, match="step of 0 s"):
        telemetry.joined(BUNDLE, NOW, each_s=0)
