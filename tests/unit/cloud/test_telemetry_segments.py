# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from insight_cloud.platform.database import Database
from insight_cloud.telemetry import tables
from insight_cloud.telemetry.retention import Retention
from insight_cloud.telemetry.segments import Segment, Stretches, cut, grow, stacked
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.report import Report, Window
from insight_edge.stats.latency import BUCKETS, lower_edge
from tests.fakes.telemetry import (
    BUNDLE,
    NOW,
    NOW_S,
    OTHER,
    UNKNOWN,
    batch,
    find_bundle,
    merged,
    message,
    report,
    sum_of,
)

ROWS = 20
REPORTS = [
    report(number, device=f"camera-{number % 3}", bundle=OTHER if number % 5 == 4 else BUNDLE)
    for number in range(24)
]
SLOW = (
    report(99, rows=0, device="camera-9", window=Window(opened_s=0.0, closed_s=NOW_S - 7200)),
    report(98, rows=3 * ROWS, device="camera-8"),
)


def opened(database: Database, tmp_path: Path, rows: int = ROWS) -> Telemetry:
    return Telemetry(database, find_bundle, tmp_path / "log", segment_rows=rows)


@pytest.fixture
def telemetry(database: Database, tmp_path: Path) -> Telemetry:
    return opened(database, tmp_path)


def take(telemetry: Telemetry, *reports: Report, now: datetime = NOW) -> None:
    telemetry.ingest([message(each) for each in reports], now)
    telemetry.roll_up(now)


def all_of(telemetry: Telemetry, database: Database, bundle: str) -> list[Segment]:
    """Return every segment, the open one too once a day is over."""
    telemetry.roll_up(NOW + timedelta(days=2))
    with database.read() as session:
        assert not session.scalars(select(tables.SegmentRow).filter_by(complete=False)).all()
    return list(telemetry.segments(bundle, limit=1000))


def test_reports_fill_a_segment_and_begin_another(telemetry: Telemetry) -> None:
    several = [report(n, device=f"camera-{n % 2}") for n in range(5)]
    take(telemetry, *several)
    [found] = telemetry.segments(BUNDLE)
    assert found == Segment(
        tenant="default",
        bundle=BUNDLE,
        number=1,
        opened_s=NOW_S - 60,
        closed_s=NOW_S,
        rows=ROWS,
        devices={"camera-0": 15, "camera-1": 5},
        totals=sum_of([several[index] for index in (0, 2, 4, 1)]),
    )
    assert telemetry.segmented() == {BUNDLE: 1}


def test_segments_are_read_on_from_a_number(telemetry: Telemetry) -> None:
    assert (telemetry.segments(BUNDLE), telemetry.segmented()) == ((), {})
    take(telemetry, *REPORTS)
    assert [s.number for s in telemetry.segments(BUNDLE)] == [1, 2, 3, 4, 5]
    assert [s.number for s in telemetry.segments(BUNDLE, after=2, limit=2)] == [3, 4]
    assert telemetry.segments(BUNDLE, after=5) == telemetry.segments(BUNDLE, limit=-1) == ()
    assert telemetry.segmented() == {BUNDLE: 5, OTHER: 1}
    assert telemetry.segments(BUNDLE, tenant="other") == telemetry.segments(UNKNOWN) == ()
    assert telemetry.segmented(tenant="other") == {}


def test_reports_are_taken_in_the_order_in_which_their_windows_closed(
    telemetry: Telemetry,
) -> None:
    several = [
        report(n, device=f"camera-{n % 2}", window=Window(opened_s=0.0, closed_s=NOW_S - n))
        for n in range(6)
    ]
    take(telemetry, *several)
    [found] = telemetry.segments(BUNDLE)
    assert found.totals == sum_of(several[2:])
    assert (found.opened_s, found.closed_s) == (NOW_S, NOW_S - 2), "1970 is not believed"


def test_a_report_of_many_rows_is_a_segment_of_its_own_size(telemetry: Telemetry) -> None:
    take(telemetry, report(0, rows=5))
    take(telemetry, report(1, rows=1000))
    take(telemetry, report(2, rows=1000), report(3, rows=3))
    assert [found.rows for found in telemetry.segments(BUNDLE)] == [1005, 1000]


def test_a_segment_of_few_rows_is_complete_after_a_day(telemetry: Telemetry) -> None:
    take(telemetry, report(0))
    assert telemetry.roll_up(NOW + timedelta(hours=23)) == 0
    assert telemetry.segments(BUNDLE) == ()
    take(telemetry, report(1), now=NOW + timedelta(days=1))
    [found] = telemetry.segments(BUNDLE)
    assert found.totals == sum_of([report(0)])
    assert telemetry.roll_up(NOW + timedelta(hours=47)) == 0
    assert len(telemetry.segments(BUNDLE)) == 1
    telemetry.roll_up(NOW + timedelta(hours=48))
    assert [found.number for found in telemetry.segments(BUNDLE)] == [1, 2]


def test_a_segment_never_changes_once_it_is_complete(telemetry: Telemetry) -> None:
    take(telemetry, *REPORTS[:12])
    before = telemetry.segments(BUNDLE)
    take(telemetry, *REPORTS)
    assert telemetry.segments(BUNDLE)[: len(before)] == before


def test_where_no_inputs_are_counted_rows_are_those_of_the_outputs(telemetry: Telemetry) -> None:
    take(telemetry, *(report(n, inputs=None) for n in range(4)))
    assert [found.rows for found in telemetry.segments(BUNDLE)] == [ROWS]
    take(telemetry, *(report(n, inputs=None, outputs=None) for n in range(4, 9)))
    assert len(telemetry.segments(BUNDLE)) == 1


def stretches(*rows: int) -> Stretches:
    reports = [report(number, rows=each) for number, each in enumerate(rows)]
    return Stretches(
        opened_s=np.arange(len(rows), dtype=np.float64),
        closed_s=np.arange(len(rows), dtype=np.float64) + 1,
        devices=[{f"camera-{number % 2}": each} for number, each in enumerate(rows)],
        batch=batch(reports),
    )


@pytest.mark.parametrize(
    ("long_ones", "rows", "sizes"),
    [
        ((0, 1, 2), 10**9, [2, 2]),
        ((0, 1, 2), 5, [1, 1, 1, 1]),
        ((1, 2, 3), 10**9, [3, 1]),
        ((0, 1, 3), 10, [2, 2]),
    ],
)
def test_a_segment_that_cannot_be_counted_further_is_complete(
    long_ones: tuple[int, ...], rows: int, sizes: list[int]
) -> None:
    long_ns = lower_edge(BUCKETS - 1)
    pieces = stretches(5, 5, 5, 5)
    total_ns, max_ns = (getattr(pieces.batch.latency, name) for name in ("total_ns", "max_ns"))
    for index in long_ones:
        total_ns[index], max_ns[index] = 2**20 * long_ns, long_ns
    assert 2 * 2**20 * long_ns < 2**63 <= 3 * 2**20 * long_ns
    held, added = pieces.taken(slice(0, 1)), pieces.taken(slice(1, None))
    grown, is_complete = grow(held, added, rows)
    assert grown.batch.reports.tolist() == sizes
    assert is_complete == (5 * sizes[-1] >= rows)
    assert grown.batch.latency.total_ns.sum(dtype=np.float64) == total_ns.sum(dtype=np.float64)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.permutations([*REPORTS, *SLOW]),
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 30), st.booleans()), max_size=12),
)
def test_each_row_is_in_one_segment_whatever_the_order_the_split_and_the_process(
    database: Database, tmp_path: Path, order: list[Report], steps: list[tuple[int, int, bool]]
) -> None:
    with database.write() as session:
        for table in (tables.ReportRow, tables.TotalsRow, tables.SegmentRow):
            session.execute(delete(table))
    telemetry = opened(database, tmp_path)
    left = list(order)
    for taken, limit, is_killed in [*steps, (len(order), 10**3, True)]:
        telemetry.ingest([message(each) for each in left[:taken] + order[:2]], NOW)
        del left[:taken]
        telemetry.roll_up(NOW, limit=limit)
        telemetry = opened(database, tmp_path) if is_killed else telemetry
    for bundle in (BUNDLE, OTHER):
        mine = [each for each in order if each.bundle == bundle]
        found = all_of(telemetry, database, bundle)
        assert [each.number for each in found] == list(range(1, len(found) + 1))
        assert merged([each.totals for each in found]) == sum_of(mine)
        assert sum((Counter(each.devices) for each in found), Counter()) == rows_by_device(mine)
        for each in found:
            assert each.rows == sum(each.devices.values())
            assert each.totals.inputs is not None
            assert each.rows == each.totals.inputs.count
        assert all(each.rows >= ROWS for each in found[:-1])


def rows_by_device(reports: list[Report]) -> Counter[str]:
    counter: Counter[str] = Counter()
    for each in reports:
        assert each.inputs is not None
        counter[each.device] += each.inputs.count
    return +counter


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(1, 40))
def test_segments_hold_enough_rows_and_no_report_more(rows: list[int], enough: int) -> None:
    starts = cut(rows, enough)
    ends = [*starts[1:], len(rows)]
    assert starts[0] == 0
    for begin, end in zip(starts, ends, strict=True):
        assert sum(rows[begin : end - 1]) < enough
        assert sum(rows[begin:end]) >= enough or end == len(rows)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 20), st.data())
def test_a_segment_grows_alike_in_one_step_and_in_several(
    rows: list[int], enough: int, data: st.DataObject
) -> None:
    pieces = stretches(*rows)
    whole, is_complete = grow(None, pieces, enough)
    done: list[Stretches] = []
    held, begin = None, 0
    while begin < len(rows):
        end = data.draw(st.integers(begin + 1, len(rows)))
        grown, filled = grow(held, pieces.taken(slice(begin, end)), enough)
        last = len(grown.batch) - (not filled)
        done += [grown.taken(slice(index, index + 1)) for index in range(last)]
        held, begin = (None if filled else grown.taken(slice(last, None))), end
    steps = stacked([*done, *([] if held is None else [held])])
    assert (held is None) == is_complete
    assert plain(steps) == plain(whole)


def plain(found: Stretches) -> list[tuple[Any, ...]]:
    return [
        (opened_s, closed_s, dict(devices), found.batch.totals(index))
        for index, (opened_s, closed_s, devices) in enumerate(
            zip(found.opened_s, found.closed_s, found.devices, strict=True)
        )
    ]


def test_old_segments_are_let_go_and_numbers_go_on(telemetry: Telemetry) -> None:
    take(telemetry, *REPORTS)
    keep = Retention(segments_s=3600.0)
    telemetry.forget(NOW + timedelta(minutes=59), keep)
    assert len(telemetry.segments(BUNDLE)) == 5
    later = NOW + timedelta(hours=30)
    telemetry.roll_up(later)
    telemetry.forget(later, keep)
    assert telemetry.segmented() == {BUNDLE: 5, OTHER: 1}
    assert [found.number for found in telemetry.segments(BUNDLE)] == [5]
    take(telemetry, *(report(n) for n in range(100, 104)), now=later)
    assert [found.number for found in telemetry.segments(BUNDLE)] == [5, 6]
