# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from insight_cloud.platform.database import Database
from insight_cloud.telemetry import quarantine, tables
from insight_cloud.telemetry.retention import Retention
from insight_cloud.telemetry.rollups import Slot
from insight_cloud.telemetry.rules import Fate, KnownBundle
from insight_cloud.telemetry.service import Telemetry
from insight_cloud.telemetry.totals import Totals
from insight_edge.documents.codec import Versioned, digest, encode_wire, to_plain
from insight_edge.documents.report import Counts, Report, Window
from insight_edge.documents.statistics import SummaryDocument
from insight_edge.documents.topics import Kind, Topic
from tests.fakes.telemetry import (
    BUNDLE,
    HOUR,
    KNOWN,
    NOW,
    NOW_S,
    OTHER,
    UNKNOWN,
    Message,
    find_bundle,
    message,
    offer,
    outcome,
    predictions,
    report,
    sum_of,
)

TABLES = (tables.ReportRow, tables.PendingRow, tables.TotalsRow, tables.QuarantineRow)
REPORTS = [
    report(sequence, device=f"camera-{sequence % 2}", bundle=bundle, window=window)
    for sequence, bundle, window in [
        (sequence, bundle, Window(opened_s=0.0, closed_s=NOW_S - late_s))
        for sequence, (bundle, late_s) in enumerate(
            [(BUNDLE, 0), (OTHER, 0), (BUNDLE, 7200), (BUNDLE, 0), (BUNDLE, 1e9)] * 2
        )
    ]
]


@pytest.fixture
def telemetry(database: Database, tmp_path: Path) -> Telemetry:
    return Telemetry(database, find_bundle, tmp_path / "log")


def fates(telemetry: Telemetry, *documents: Versioned) -> list[Fate]:
    receipts = telemetry.ingest([message(document) for document in documents], NOW)
    return [receipt.fate for receipt in receipts]


def totals(telemetry: Telemetry, **chosen: str) -> dict[Slot, Totals]:
    since, until = NOW - timedelta(days=60), NOW + timedelta(days=1)
    return telemetry.totals(since=since, until=until, **chosen)


def rolled_up(telemetry: Telemetry) -> None:
    while telemetry.roll_up(NOW, limit=3):
        pass


def faults(telemetry: Telemetry) -> list[str]:
    return [found.fault for found in telemetry.quarantined()]


def expected(reports: list[Report]) -> dict[Slot, Totals]:
    groups: dict[Slot, list[Report]] = {}
    for each in reports:
        late_s = NOW_S - each.window.closed_s
        hour = int((each.window.closed_s if late_s < 1e7 else NOW_S) // 3600)
        slot = Slot(
            tenant="default",
            device=each.device,
            deployment=each.deployment,
            bundle=each.bundle,
            hour=hour,
        )
        groups.setdefault(slot, []).append(each)
    return {slot: sum_of(groups[slot]) for slot in sorted(groups)}


def test_a_report_is_receipted_by_the_digest_of_its_bytes(telemetry: Telemetry) -> None:
    topic, payload = message(report())
    receipts = telemetry.ingest([(topic, payload)], NOW)
    assert [(r.digest, r.fate, r.reason) for r in receipts] == [
        (digest(payload), Fate.STORED, None)
    ]


def test_totals_are_exact_before_and_after_they_are_rolled_up(telemetry: Telemetry) -> None:
    assert set(fates(telemetry, *REPORTS)) == {Fate.STORED}
    before = totals(telemetry)
    assert before == expected(REPORTS)
    assert telemetry.roll_up(NOW, limit=3) == 8, "a batch, of one bundle, is added up whole"
    assert totals(telemetry) == before
    rolled_up(telemetry)
    assert totals(telemetry) == before
    assert telemetry.roll_up(NOW) == 0


def test_totals_of_some(telemetry: Telemetry) -> None:
    fates(telemetry, *REPORTS)
    assert {slot.bundle for slot in totals(telemetry, bundle=OTHER)} == {OTHER}
    assert {slot.device for slot in totals(telemetry, device="camera-0")} == {"camera-0"}
    assert totals(telemetry, deployment="other") == {}
    assert totals(telemetry, tenant="other") == {}
    now = telemetry.totals(since=NOW, until=NOW + timedelta(minutes=1))
    assert {slot.hour for slot in now} == {HOUR}
    assert telemetry.totals(since=NOW, until=NOW - timedelta(minutes=30)) == {}


def test_what_comes_twice_counts_once(telemetry: Telemetry) -> None:
    one, two = report(0), report(1)
    assert fates(telemetry, one, two, one) == [Fate.STORED, Fate.STORED, Fate.DUPLICATE]
    assert fates(telemetry, two, one) == [Fate.DUPLICATE, Fate.DUPLICATE]
    rolled_up(telemetry)
    assert fates(telemetry, two) == [Fate.DUPLICATE]
    rolled_up(telemetry)
    assert totals(telemetry) == expected([one, two])


def test_a_window_without_news_is_none_that_is_missing(telemetry: Telemetry) -> None:
    assert fates(telemetry, report(0), report(2)) == [Fate.STORED] * 2
    assert telemetry.health()["camera-1"].missing == 1
    [before] = totals(telemetry).values()
    assert fates(telemetry, report(1, rows=0)) == [Fate.STORED]
    rolled_up(telemetry)
    assert telemetry.health()["camera-1"].missing == 0
    assert telemetry.health()["camera-1"].merged == 3
    [after] = totals(telemetry).values()
    assert (after.counts, after.reports) == (before.counts, 3)


def test_the_same_report_in_other_bytes_is_the_same(telemetry: Telemetry) -> None:
    topic, payload = message(report())
    again = zstandard.ZstdCompressor(level=1).compress(zstandard.decompress(payload))
    assert again != payload
    receipts = telemetry.ingest([(topic, payload), (topic, again)], NOW)
    assert [r.fate for r in receipts] == [Fate.STORED, Fate.DUPLICATE]
    assert receipts[1].digest == digest(again)


def test_another_report_of_the_same_number_is_put_away(telemetry: Telemetry) -> None:
    assert fates(telemetry, report(0), report(0, seed=7)) == [Fate.STORED, Fate.QUARANTINED]
    assert fates(telemetry, report(0, seed=8)) == [Fate.QUARANTINED]
    assert set(faults(telemetry)) == {"ConflictError"}
    assert totals(telemetry) == expected([report(0)])


def test_boots_deployments_and_devices_count_apart(telemetry: Telemetry) -> None:
    several = [report(), report(boot=2), report(deployment="b"), report(device="camera-2")]
    assert set(fates(telemetry, *several)) == {Fate.STORED}
    assert sum(total.reports for total in totals(telemetry).values()) == 4


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(range(len(REPORTS))), st.booleans()), max_size=25),
    st.permutations(range(len(REPORTS))),
)
def test_any_order_repetition_and_split_gives_equal_totals(
    telemetry: Telemetry, database: Database, early: list[tuple[int, bool]], rest: list[int]
) -> None:
    with database.write() as session:
        for table in TABLES:
            session.execute(delete(table))
    batch: list[Message] = []
    for index, ends in [*early, *((index, index % 3 == 0) for index in rest), (0, True)]:
        batch.append(message(REPORTS[index]))
        if ends:
            telemetry.ingest(batch, NOW)
            batch = []
            if index % 2:
                telemetry.roll_up(NOW, limit=1 + index)
    assert totals(telemetry) == expected(REPORTS)
    assert faults(telemetry) == []


def test_a_report_keeps_its_own_times_and_that_of_its_arrival(
    telemetry: Telemetry, database: Database
) -> None:
    fates(telemetry, report(window=Window(opened_s=1e9, closed_s=5.0)))
    with database.read() as session:
        row = session.scalars(select(tables.ReportRow)).one()
    assert (row.opened_s, row.closed_s, row.arrived_s, row.hour) == (1e9, 5.0, NOW_S, HOUR)


def changed(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda plain: plain | changes


def within(key: str, **changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda plain: plain | {key: plain[key] | changes}


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (changed(device="camera-2"), "WrongDeviceError"),
        (changed(deployment="a/b"), "DocumentError"),
        (changed(boot=-1), "DocumentError"),
        (changed(boot=2**63), "DocumentError"),
        (changed(sequence=2**63), "DocumentError"),
        (changed(sequence=2**64 - 1), "DocumentError"),
        (changed(sequence=1.5), "DocumentError"),
        (changed(bundle="sha256:x"), "DocumentError"),
        (changed(bundle=BUNDLE + "\n"), "DocumentError"),
        (changed(variant="v" * 101), "DocumentError"),
        (changed(format=2), "UnsupportedVersionError"),
        (changed(inputs=5), "DocumentError"),
        (within("counts", asked=-1), "DocumentError"),
        (within("counts", asked=10**12), "DocumentError"),
        (within("window", closed_s=float("nan")), "DocumentError"),
        (within("window", opened_s=float("inf")), "DocumentError"),
        (within("latency", count=-1), "DocumentError"),
        (within("latency", total_ns=2**63), "DocumentError"),
        (within("latency", count=10**12), "DocumentError"),
        (within("inputs", grid="sha256:" + "1" * 64), "DocumentError"),
        (within("inputs", count=2**22 + 1), "DocumentError"),
        (within("outputs", count=-5), "DocumentError"),
    ],
)
def test_what_cannot_be_meant_is_put_away_and_acknowledged(
    telemetry: Telemetry, spoil: Callable[[dict[str, Any]], dict[str, Any]], fault: str
) -> None:
    topic, _ = message(report())
    payload = zstandard.compress(msgspec.msgpack.encode(spoil(to_plain(report()))))
    for _ in range(2):
        receipts = telemetry.ingest([(topic, payload), message(report(1))], NOW)
        assert receipts[0].fate is Fate.QUARANTINED
        assert receipts[0].digest == digest(payload)
        assert str(receipts[0].reason).startswith(fault)
    [found] = telemetry.quarantined()
    assert (found.device, found.kind, found.fault) == ("camera-1", "report", fault)
    assert (found.payload, found.length_bytes) == (payload, len(payload))
    assert totals(telemetry) == expected([report(1)])


def spoiled(**changes: Any) -> Report:
    document: SummaryDocument | None = report().inputs
    assert document is not None
    return report(inputs=msgspec.structs.replace(document, **changes))


def timed(**changes: Any) -> Report:
    return report(latency=msgspec.structs.replace(report().latency, **changes))


@pytest.mark.parametrize(
    "bad",
    [
        spoiled(missing=(-1, 0)),
        spoiled(bins=((10**12, 0, 0, 0), (5, 0, 0, 0))),
        spoiled(bins=((5,) * 10**4,) * 2),
        spoiled(names=tuple(f"f{n}" for n in range(10**4))),
        spoiled(sums=("1" * 4000, "0")),
        spoiled(squares=("-1", "0")),
        spoiled(minimum=(float("nan"), 0.0)),
        spoiled(minimum=(1e308, 0.0)),
        spoiled(maximum=(float("inf"), 0.0)),
        timed(total_ns=1),
        timed(max_ns=0),
        timed(buckets={"5": 4}),
        timed(buckets={"5": 2**32 + 5, "6": 2**32, "7": 2**64 - 1}),
        timed(buckets={f"{n}": 2**62 for n in range(4)}, count=0),
        timed(buckets={str(n): 1 for n in range(10**4)}),
    ],
)
def test_what_no_rows_can_have_made_is_never_added_up(telemetry: Telemetry, bad: Report) -> None:
    assert fates(telemetry, bad, report(1)) == [Fate.QUARANTINED, Fate.STORED]
    assert totals(telemetry) == expected([report(1)])
    rolled_up(telemetry)
    assert totals(telemetry) == expected([report(1)])
    assert faults(telemetry) == ["DocumentError"]
    assert fates(telemetry, bad) == [Fate.DUPLICATE]
    assert telemetry.health()["camera-1"].missing == 0, "it came, whatever it says"
    assert telemetry.roll_up(NOW) == 0


def test_latencies_are_believed_or_not_before_the_bundle_is_known(telemetry: Telemetry) -> None:
    bad = msgspec.structs.replace(timed(buckets={"5": 4}), bundle=UNKNOWN)
    assert fates(telemetry, bad, report(1, bundle=UNKNOWN)) == [Fate.QUARANTINED, Fate.STORED]
    assert [w.p99_ns for w in telemetry.windows("camera-1", "default")] == [
        report(1).latency.max_ns
    ]


@pytest.mark.parametrize("bad", [spoiled(missing=(-1, 0)), spoiled(sums=("x", "0"))])
def test_what_no_rows_can_have_made_is_put_away_once_its_bundle_is_known(
    database: Database, tmp_path: Path, bad: Report
) -> None:
    known: dict[str, KnownBundle] = {}
    telemetry = Telemetry(database, known.get, tmp_path)
    assert fates(telemetry, bad, report(1)) == [Fate.STORED, Fate.STORED]
    assert telemetry.release_waiting(NOW) == 0
    known[BUNDLE] = KNOWN
    assert telemetry.release_waiting(NOW) == 1
    assert totals(telemetry) == expected([report(1)])
    rolled_up(telemetry)
    assert totals(telemetry) == expected([report(1)])
    assert [found.payload for found in telemetry.quarantined()] == [message(bad)[1]]
    found = telemetry.health()["camera-1"]
    assert (found.reports, found.merged, found.waiting, found.missing) == (2, 1, 0, 0)


def test_extreme_values_that_rows_can_have_are_added_up(telemetry: Telemetry) -> None:
    document: SummaryDocument | None = report().inputs
    assert document is not None
    widest = msgspec.structs.replace(document, minimum=(-1e308, -0.0), maximum=(1e308, 1e308))
    several = [report(0, inputs=widest), report(1)]
    fates(telemetry, *several)
    rolled_up(telemetry)
    assert totals(telemetry) == expected(several)


def test_garbage_of_every_kind_is_put_away(telemetry: Telemetry) -> None:
    kinds = (Kind.REPORT, Kind.PREDICTION, Kind.SAMPLE, Kind.OUTCOME)
    messages = [
        (Topic("default", "camera-1", kind), payload)
        for kind in kinds
        for payload in (b"", b"x", zstandard.compress(b"\0" * 2**22), encode_wire(report())[:-1])
    ]
    receipts = telemetry.ingest(messages, NOW)
    assert {receipt.fate for receipt in receipts} == {Fate.QUARANTINED}
    assert len(receipts) == len(messages)


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (predictions((1,), device="camera-2"), "WrongDeviceError"),
        (predictions((1, 2), keys=(None,)), "DocumentError"),
        (predictions((1,), bundle=(1,)), "DocumentError"),
        (predictions((1,), bundle=(-1,)), "DocumentError"),
        (predictions((1,), bundles=("b",)), "DocumentError"),
        (predictions((1,), at_s=(float("nan"),)), "DocumentError"),
        (predictions((1,), keys=("k" * 257,)), "DocumentError"),
        (predictions((1,), keys=("\0",)), "DocumentError"),
        (predictions((-1,)), "DocumentError"),
        (predictions(tuple(range(4097))), "DocumentError"),
        (predictions((1,), outputs={str(n): (None,) for n in range(65)}), "DocumentError"),
        (predictions((1,), outputs={"scores": ()}), "DocumentError"),
        (outcome(1, 0, id="camera-2/default/1/1"), "WrongDeviceError"),
        (outcome(1, 0, id="camera-1/default/1"), "DocumentError"),
        (outcome(1, 0, id="camera-1/default/1/x"), "DocumentError"),
        (outcome(1, 0, id=None), "DocumentError"),
        (outcome(1, 0, id=None, key="k"), "DocumentError"),
        (outcome(1, 0, id=None, key="k", deployment="/"), "DocumentError"),
        (outcome(1, float("nan")), "DocumentError"),
        (outcome(1, "x" * 201), "DocumentError"),
        (outcome(1, 0, at_s=float("inf")), "DocumentError"),
        (offer("d"), "DocumentError"),
        (offer(device="camera-2"), "WrongDeviceError"),
        (offer(id="camera-2/default/1/7"), "WrongDeviceError"),
        (offer(length_bytes=-1), "DocumentError"),
        (offer(length_bytes=2**40), "DocumentError"),
        (offer(score=float("nan")), "DocumentError"),
    ],
)
def test_other_messages_that_cannot_be_meant_are_put_away(
    telemetry: Telemetry, bad: Versioned, fault: str
) -> None:
    receipts = telemetry.ingest([message(bad, device="camera-1")], NOW)
    assert [r.fate for r in receipts] == [Fate.QUARANTINED]
    assert faults(telemetry) == [fault]


def test_a_topic_of_another_kind_is_a_programming_error(telemetry: Telemetry) -> None:
    with pytest.raises(ValueError, match="none of telemetry"):
        telemetry.ingest([(Topic("default", "camera-1", Kind.BIRTH), b"")], NOW)


def test_the_quarantine_is_bounded_for_each_device_and_in_all(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_OF_TENANT", 60)

    def poison(device: str, numbers: range) -> None:
        topic = Topic("default", device, Kind.REPORT)
        for number in numbers:
            telemetry.ingest([(topic, f"{device} {number}".encode())], NOW + timedelta(0, number))

    poison("camera-1", range(70))
    kept = telemetry.quarantined(limit=1000)
    assert [found.payload for found in kept[:2]] == [b"camera-1 69", b"camera-1 68"]
    assert len(kept) == quarantine.MAX_OF_DEVICE == 50
    poison("camera-2", range(100, 120))
    assert len(telemetry.quarantined(limit=1000)) == 60
    assert len(telemetry.quarantined(device="camera-2", limit=1000)) == 20


def test_a_long_poisonous_message_is_kept_in_part(telemetry: Telemetry) -> None:
    topic = Topic("default", "camera-1", Kind.REPORT)
    telemetry.ingest([(topic, b"x" * 200_000)], NOW)
    [found] = telemetry.quarantined()
    assert (len(found.payload), found.length_bytes) == (quarantine.MAX_PAYLOAD_BYTES, 200_000)


def test_reports_of_a_bundle_that_is_not_known_wait_for_it(
    database: Database, tmp_path: Path
) -> None:
    known = dict.fromkeys([BUNDLE], KNOWN)
    telemetry = Telemetry(database, known.get, tmp_path)
    several = [report(0, bundle=UNKNOWN), report(1, bundle=UNKNOWN), report(2)]
    assert set(fates(telemetry, *several)) == {Fate.STORED}
    rolled_up(telemetry)
    assert totals(telemetry) == expected([several[2]])
    known[UNKNOWN] = KNOWN
    telemetry.bundle_known(UNKNOWN, NOW)
    assert totals(telemetry) == expected(several)
    rolled_up(telemetry)
    assert totals(telemetry) == expected(several)
    assert faults(telemetry) == []


def test_a_bundle_that_is_forgotten_stops_no_other(database: Database, tmp_path: Path) -> None:
    known = dict.fromkeys([BUNDLE, OTHER], KNOWN)
    fates(Telemetry(database, known.get, tmp_path), report(0, bundle=OTHER), report(1))
    del known[OTHER]
    telemetry = Telemetry(database, known.get, tmp_path)
    rolled_up(telemetry)
    assert totals(telemetry) == expected([report(1)])


def test_what_was_added_up_is_not_kept_and_copies_still_do_not_count(
    telemetry: Telemetry, database: Database
) -> None:
    fates(telemetry, report(0), report(1))
    rolled_up(telemetry)
    with database.read() as session:
        assert session.scalars(select(tables.PendingRow.id)).all() == []
        assert list(session.scalars(select(tables.ReportRow.batch))) == [None, None]
    assert fates(telemetry, report(0), report(0, seed=9)) == [Fate.DUPLICATE, Fate.QUARANTINED]
    assert totals(telemetry) == expected([report(0), report(1)])


def test_a_bundle_that_never_becomes_known_is_given_up(
    telemetry: Telemetry, database: Database
) -> None:
    fates(telemetry, report(0, bundle=UNKNOWN), report(1))
    telemetry.forget(NOW + timedelta(days=13))
    assert telemetry.health()["camera-1"].waiting == 1
    telemetry.forget(NOW + timedelta(days=15))
    found = telemetry.health()["camera-1"]
    assert (found.reports, found.waiting, found.missing) == (2, 0, 0)
    with database.read() as session:
        states = session.execute(select(tables.ReportRow.sequence, tables.ReportRow.state))
        assert dict(states.all()) == {0: "refused", 1: "new"}
    assert fates(telemetry, report(0, bundle=UNKNOWN)) == [Fate.DUPLICATE]


def test_what_is_old_enough_goes(telemetry: Telemetry, database: Database) -> None:
    fates(telemetry, report(0), predictions((1,)), outcome(1, 0), offer())
    rolled_up(telemetry)
    fates(telemetry, report(1))
    telemetry.forget(NOW + timedelta(days=1000))
    telemetry.forget(NOW + timedelta(days=3000))
    gone = (tables.PredictionRow, tables.OutcomeRow, tables.SampleRow, tables.TotalsRow)
    with database.read() as session:
        held = [session.scalar(select(func.count()).select_from(table)) for table in gone]
        left = session.scalars(select(tables.ReportRow.sequence)).all()
    assert held == [0, 0, 0, 0]
    assert list(left) == [1], "what is not added up yet stays"
    telemetry.forget(NOW, Retention())


def test_the_latest_windows_are_told_one_by_one(telemetry: Telemetry) -> None:
    counts = Counts(asked=6, answered=5, failed=4, observed=3, flagged=2, broken=1)
    odd = spoiled(missing=(-1, 0))
    fates(telemetry, report(8, boot=1), report(2, boot=2, counts=counts), odd, report(9))
    rolled_up(telemetry)
    found = telemetry.windows("camera-1", "default")
    assert [(w.boot, w.sequence) for w in found] == [(2, 2), (1, 9), (1, 8)]
    assert found[0].counts == counts
    assert found[0].p99_ns == report(2).latency.max_ns
    assert (found[0].closed_s, found[0].arrived_s) == (NOW_S, NOW_S)
    assert telemetry.windows("camera-1", "default", limit=1) == found[:1]
    assert telemetry.windows("camera-1", "other") == ()
