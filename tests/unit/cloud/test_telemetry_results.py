# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from sqlalchemy import delete, select, update

from insight_cloud.platform.database import Database
from insight_cloud.telemetry import tables
from insight_cloud.telemetry.claiming import claim, mark_logged, rows_of
from insight_cloud.telemetry.joining import Joined
from insight_cloud.telemetry.log import log_path
from insight_cloud.telemetry.rules import Fate
from insight_cloud.telemetry.samples import MAX_OFFERED, Sample, SampleState, choose
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.codec import Versioned, digest
from insight_edge.errors import DocumentError, StorageError, WrongDeviceError
from tests.fakes.telemetry import (
    BUNDLE,
    HOUR,
    NOW,
    NOW_S,
    OTHER,
    SAMPLE,
    UNKNOWN,
    find_bundle,
    message,
    offer,
    outcome,
    predictions,
)

SINCE = NOW - timedelta(hours=3)


@pytest.fixture
def telemetry(database: Database, tmp_path: Path) -> Telemetry:
    return Telemetry(database, find_bundle, tmp_path / "log")


def fates(telemetry: Telemetry, *documents: Versioned) -> list[Fate]:
    return [r.fate for r in telemetry.ingest([message(each) for each in documents], NOW)]


def by_key(number: int, label: float | str, **changes: Any) -> Versioned:
    return outcome(number, label, id=None, key=f"order-{number}", deployment="default", **changes)


def test_outcomes_are_joined_by_id_or_by_key(telemetry: Telemetry) -> None:
    fates(telemetry, predictions((1, 2, 3, 4, 5)))
    fates(telemetry, outcome(1, 0), outcome(2, "dog"), by_key(3, "cat"), by_key(9, "cat"))
    fates(telemetry, outcome(4, 0.25))
    assert telemetry.joined(BUNDLE, SINCE) == (
        Joined(begin_s=HOUR * 3600, predictions=5, outcomes=4, judged=3, correct=2),
    )
    assert telemetry.joined(OTHER, SINCE) == ()
    assert telemetry.joined(BUNDLE, NOW + timedelta(hours=1)) == ()


@pytest.mark.parametrize(("true", "false"), [("cat", "dog"), (0, 1), (0, "dog"), ("cat", 1)])
def test_an_outcome_by_id_goes_before_one_by_key(
    telemetry: Telemetry, true: float | str, false: float | str
) -> None:
    fates(telemetry, by_key(1, false), outcome(1, true), predictions((1,)))
    assert telemetry.joined(BUNDLE, SINCE)[0].correct == 1


def test_every_hour_and_bundle_is_counted_alone(telemetry: Telemetry) -> None:
    batch = predictions(
        (1, 2, 3),
        bundles=(BUNDLE, OTHER),
        bundle=(0, 0, 1),
        at_s=(NOW_S, NOW_S - 7200, NOW_S),
    )
    fates(telemetry, batch, *(outcome(number, "cat") for number in (1, 2, 3)))
    assert [found.hour for found in telemetry.joined(BUNDLE, SINCE)] == [HOUR - 2, HOUR]
    assert telemetry.joined(OTHER, SINCE) == (
        Joined(begin_s=HOUR * 3600, predictions=1, outcomes=1, judged=1, correct=1),
    )


def test_an_unknown_bundle_is_joined_by_index_alone(telemetry: Telemetry) -> None:
    fates(telemetry, predictions((1, 2), bundles=(UNKNOWN,)), outcome(1, 0), outcome(2, "cat"))
    assert telemetry.joined(UNKNOWN, SINCE) == (
        Joined(begin_s=HOUR * 3600, predictions=2, outcomes=2, judged=1, correct=1),
    )


def test_results_count_once_in_whatever_batches_they_come(telemetry: Telemetry) -> None:
    one, two, both = predictions((1,)), predictions((2,)), predictions((1, 2))
    assert fates(telemetry, one, one) == [Fate.STORED, Fate.DUPLICATE]
    assert fates(telemetry, both) == [Fate.STORED]
    assert fates(telemetry, two, both, one) == [Fate.DUPLICATE] * 3
    assert telemetry.joined(BUNDLE, SINCE)[0].predictions == 2


RIGHT, WRONG = ((0.9, 0.1),), ((0.1, 0.9),)
NEWS: list[Versioned] = [
    *(predictions((n,), RIGHT if n % 2 else WRONG) for n in range(5)),
    *(outcome(n, "cat", at_s=NOW_S + n) for n in range(4)),
    outcome(1, "dog", at_s=NOW_S + 50),
    outcome(1, "cat", at_s=NOW_S + 40),
    outcome(2, "cat", at_s=NOW_S + 2),
    outcome(2, "dog", at_s=NOW_S + 2),
    by_key(4, "dog"),
]


def joined_of(telemetry: Telemetry, order: Sequence[int], split: int) -> tuple[Joined, ...]:
    for part in (order[:split], order[split:]):
        telemetry.ingest([message(NEWS[index]) for index in part], NOW)
    return telemetry.joined(BUNDLE, SINCE)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.permutations(range(len(NEWS))),
    st.lists(st.sampled_from(range(len(NEWS))), max_size=5),
    st.integers(0, 10),
)
def test_late_early_and_repeated_news_is_joined_alike(
    telemetry: Telemetry, database: Database, order: list[int], again: list[int], split: int
) -> None:
    found = []
    for some in (range(len(NEWS)), [*order, *again]):
        with database.write() as session:
            session.execute(delete(tables.PredictionRow))
            session.execute(delete(tables.OutcomeRow))
        found.append(joined_of(telemetry, list(some), split))
    assert found[0] == found[1]
    assert (found[0][0].predictions, found[0][0].outcomes) == (5, 5)


def test_the_cloud_records_what_it_learns_itself(telemetry: Telemetry) -> None:
    fates(telemetry, predictions((1, 2)))
    outcomes = [outcome(1, "cat", source="labels"), outcome(2, "dog", source="labels")]
    for _ in range(2):
        telemetry.record_outcomes("camera-1", outcomes, NOW)
    assert telemetry.joined(BUNDLE, SINCE)[0].correct == 1
    with pytest.raises(WrongDeviceError, match="'camera-2' speaks of 'camera-1'"):
        telemetry.record_outcomes("camera-2", outcomes, NOW)
    with pytest.raises(DocumentError, match="outcome"):
        telemetry.record_outcomes("camera-1", [outcome(1, "x" * 201)], NOW)


def test_offers_are_kept_once_and_uploaded_when_asked_for(telemetry: Telemetry) -> None:
    assert fates(telemetry, offer(), offer()) == [Fate.STORED, Fate.DUPLICATE]
    assert telemetry.wanted_uploads("camera-1") == ()
    asked = telemetry.ask_samples(BUNDLE, most=5, each=5, now=NOW)
    assert [(s.digest, s.result, s.length_bytes) for s in asked] == [
        (SAMPLE, "camera-1/default/1/7", 1000)
    ]
    assert [s.digest for s in telemetry.wanted_uploads("camera-1")] == [SAMPLE]
    assert telemetry.wanted_uploads("camera-2") == ()
    assert fates(telemetry, offer()) == [Fate.DUPLICATE]
    assert telemetry.move_sample("camera-1", SAMPLE, SampleState.UPLOADED, NOW)
    assert telemetry.wanted_uploads("camera-1") == ()
    assert telemetry.move_sample("camera-1", SAMPLE, SampleState.LABELLED, NOW)
    assert [s.state for s in telemetry.samples(SampleState.LABELLED)] == [SampleState.LABELLED]


def test_a_sample_skips_no_state(telemetry: Telemetry) -> None:
    fates(telemetry, offer())
    for state in (SampleState.UPLOADED, SampleState.LABELLED, SampleState.OFFERED):
        assert not telemetry.move_sample("camera-1", SAMPLE, state, NOW)
    assert not telemetry.move_sample("camera-2", SAMPLE, SampleState.EXPIRED, NOW)
    assert telemetry.move_sample("camera-1", SAMPLE, SampleState.EXPIRED, NOW)
    assert telemetry.ask_samples(BUNDLE, most=5, each=5, now=NOW) == ()


def named(number: int) -> str:
    return digest(str(number).encode())


def test_a_device_keeps_so_many_offers_and_the_oldest_go(telemetry: Telemetry) -> None:
    for start in (0, MAX_OFFERED):
        batch = [offer(named(n), at_s=NOW_S + n) for n in range(start, start + MAX_OFFERED // 2)]
        telemetry.ingest([message(each) for each in batch], NOW + timedelta(seconds=start))
    extra = [offer(named(n), at_s=NOW_S + n) for n in range(1000, 1010)]
    telemetry.ingest([message(each) for each in extra], NOW + timedelta(hours=1))
    offered = telemetry.samples(SampleState.OFFERED, limit=10**4)
    assert len(offered) == MAX_OFFERED
    assert {s.digest for s in telemetry.samples(SampleState.EXPIRED)} == {
        named(n) for n in range(10)
    }


def test_inputs_from_before_a_time_are_not_asked_for(telemetry: Telemetry) -> None:
    fates(telemetry, *(offer(named(n), at_s=NOW.timestamp() + n) for n in range(4)))
    since_s = NOW.timestamp() + 2
    asked = telemetry.ask_samples(BUNDLE, most=10, each=10, since_s=since_s, now=NOW)
    assert {sample.at_s - NOW.timestamp() for sample in asked} == {2, 3}
    assert len(telemetry.ask_samples(BUNDLE, most=10, each=10, now=NOW)) == 2


def test_a_device_is_asked_for_its_share_a_day(telemetry: Telemetry) -> None:
    several = [offer(named(n), score=n / 10) for n in range(5)]
    others = [offer(named(9), device="camera-2", id="camera-2/default/1/1", score=0.9)]
    fates(telemetry, *several, *others)
    asked = telemetry.ask_samples(BUNDLE, most=10, each=2, now=NOW)
    assert [s.score for s in asked] == [0.0, 0.1, 0.9]
    telemetry.move_sample("camera-1", asked[0].digest, SampleState.UPLOADED, NOW)
    assert telemetry.ask_samples(BUNDLE, most=10, each=2, now=NOW + timedelta(hours=1)) == ()
    next_day = telemetry.ask_samples(BUNDLE, most=1, each=2, now=NOW + timedelta(hours=25))
    assert [s.score for s in next_day] == [0.2]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["uncertain", "out-of-range", "random"]),
            st.floats(0, 1),
        ),
        max_size=30,
    ),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 5)),
    st.integers(0, 10),
    st.integers(0, 4),
)
def test_no_more_is_asked_for_than_allowed(
    offers: list[tuple[str, str, float]], asked: dict[str, int], most: int, each: int
) -> None:
    samples = [
        Sample(
            device=device,
            deployment="default",
            digest=named(number),
            result="",
            bundle=BUNDLE,
            length_bytes=1,
            reason=reason,
            score=score,
            outputs="{}",
            at_s=0.0,
            state=SampleState.OFFERED,
        )
        for number, (device, reason, score) in enumerate(offers)
    ]
    chosen = choose(samples, Counter(asked), most=most, each=each)
    assert len(chosen) <= most
    for device, count in Counter(sample.device for sample in chosen).items():
        assert count + asked.get(device, 0) <= each
    left_out = [s for s in samples if s not in chosen and s.reason == "out-of-range"]
    if len(chosen) < most:
        taken = Counter(s.device for s in chosen) + Counter(asked)
        assert all(taken[s.device] >= each for s in left_out)


def results(database: Database) -> list[tuple[Any, ...]]:
    row = tables.PredictionRow
    with database.read() as session:
        query = select(row.id, row.logged, row.file, row.outputs).order_by(row.id)
        return [tuple(found) for found in session.execute(query)]


def test_results_get_a_file_before_it_is_written_and_keep_it(
    telemetry: Telemetry, database: Database
) -> None:
    yesterday = predictions((3,), at_s=(NOW_S - 86_400,))
    fates(telemetry, predictions((1, 2)), yesterday)
    with database.write() as session:
        files = claim(session, NOW_S)
    assert [file.day for file in files] == [HOUR // 24 - 1, HOUR // 24]
    fates(telemetry, predictions((4,)))
    with database.write() as session:
        again = claim(session, NOW_S)
    assert len(again) == 3
    assert set(files) < set(again)
    with database.write() as session:
        assert set(claim(session, NOW_S)) == set(again)


def test_a_file_that_another_process_has_written_is_left_alone(
    telemetry: Telemetry, database: Database
) -> None:
    fates(telemetry, predictions((2, 1)))
    with database.write() as session:
        [file] = claim(session, NOW_S)
        assert [row.id[-1] for row in rows_of(session, file)] == ["1", "2"]
        mark_logged(session, file)
        assert rows_of(session, file) == []
        assert claim(session, NOW_S) == ()
    assert results(database)[0][1:] == (True, file.name, None)


def test_what_comes_later_is_left_for_later(telemetry: Telemetry, database: Database) -> None:
    fates(telemetry, predictions((1,)))
    with database.write() as session:
        assert claim(session, NOW_S - 1) == ()


def test_a_file_of_the_log_is_named_by_tenant_and_day() -> None:
    path = log_path(Path("log"), "default", HOUR // 24, "0a")
    assert path.as_posix() == "log/default/day=2026-11-21/0a.parquet"


def read_log(paths: Sequence[Path]) -> list[dict[str, Any]]:
    rows = [row for path in paths for row in parquet.ParquetFile(path).read().to_pylist()]
    return sorted(rows, key=lambda row: str(row["id"]))


def test_the_log_holds_every_result_once(
    telemetry: Telemetry, database: Database, tmp_path: Path
) -> None:
    yesterday = predictions((3,), at_s=(NOW_S - 86_400,), keys=(None,))
    fates(telemetry, predictions((1, 2)), yesterday)
    assert len(telemetry.flush(NOW)) == 2
    fates(telemetry, predictions((1, 2, 4)), yesterday)
    assert len(telemetry.flush(NOW)) == 1
    assert telemetry.flush(NOW) == ()
    rows = read_log(sorted((tmp_path / "log").rglob("*.parquet")))
    assert [row["id"][-1] for row in rows] == ["1", "2", "3", "4"]
    assert [row["key"] for row in rows] == ["order-1", "order-2", None, "order-4"]
    assert (rows[0]["outputs"], rows[0]["class_index"]) == ('{"scores":[0.9,0.1]}', 0)
    assert rows[0]["arrived"] == NOW
    assert rows[2]["at"] == NOW - timedelta(days=1)
    assert {found[1:2] + found[3:] for found in results(database)} == {(True, None)}
    fates(telemetry, outcome(1, "cat"))
    assert telemetry.joined(BUNDLE, SINCE)[0].correct == 1


def test_a_flush_that_was_interrupted_is_finished_by_the_next(
    telemetry: Telemetry, database: Database, tmp_path: Path
) -> None:
    fates(telemetry, predictions((1, 2)))
    (tmp_path / "log").write_bytes(b"a file where the folder has to be")
    with pytest.raises(StorageError):
        telemetry.flush(NOW)
    assert [found[1] for found in results(database)] == [False, False]
    (tmp_path / "log").unlink()
    fates(telemetry, predictions((3,)))
    written = telemetry.flush(NOW)
    assert sorted(len(read_log([path])) for path in written) == [1, 2]
    with database.write() as session:  # as if it had been killed between file and mark
        session.execute(update(tables.PredictionRow).values(logged=False))
    assert sorted(telemetry.flush(NOW)) == sorted(written)
    assert len(read_log(sorted((tmp_path / "log").rglob("*.parquet")))) == 3
