# SPDX-License-Identifier: Apache-2.0
"""Jobs on a real file: kept over restarts, over once, in a file that an older release made."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from insight_edge.documents.topics import Kind
from insight_edge.fleet.jobs.store import JobStore, Kept
from insight_edge.fleet.link.outbox import Outbox
from tests.fakes.jobs import NOW_S, job_of

OLD_SCHEMA = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('prediction', 'sample', 'report', 'outcome', 'job/result')),
    payload BLOB NOT NULL,
    length_bytes INTEGER NOT NULL CHECK (length_bytes = length(payload)),
    attempts INTEGER NOT NULL DEFAULT 0,
    due_s REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX message_turn ON message (kind, id, due_s, length_bytes);
CREATE TABLE lost (kind TEXT PRIMARY KEY, messages INTEGER NOT NULL) STRICT;
"""
"""As it was before there were jobs; written out, since the code that made it is gone."""


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "agent.sqlite")
    yield opened
    opened.close()


def test_jobs_wait_in_the_order_they_came_with_their_attempts(outbox: Outbox) -> None:
    store = JobStore(outbox)
    for name in ("job-2", "job-1"):
        store.keep(job_of(id=name))
    store.keep(job_of(id="job-2", rounds=3))
    store.begin("job-1")
    store.begin("job-1")
    store.put_back("job-1")
    store.put_back("job-2")
    assert JobStore(outbox).kept() == (Kept(job_of(id="job-2"), 0), Kept(job_of(id="job-1"), 1))


def test_what_is_over_has_its_result_in_the_outbox_and_is_remembered(outbox: Outbox) -> None:
    store = JobStore(outbox)
    store.keep(job_of())
    store.finish("job-1", NOW_S, b"result")
    assert store.kept() == ()
    assert store.over() == {"job-1"}
    assert [one.payload for one in outbox.due(9, NOW_S)] == [b"result"]
    store.forget(NOW_S)
    assert store.over() == {"job-1"}
    store.forget(NOW_S + 1)
    assert store.over() == set()


def test_result_and_end_of_a_job_are_written_both_or_neither(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore(outbox)
    store.keep(job_of())

    def fail(*_: object) -> None:
        raise RuntimeError("between the two")

    monkeypatch.setattr(outbox, "_put", fail)
    with pytest.raises(RuntimeError):
        store.finish("job-1", NOW_S, b"result")
    assert (len(store.kept()), store.over(), outbox.waiting) == (1, frozenset(), {})


def test_a_result_drives_out_what_is_worth_less_and_nothing_drives_out_a_result(
    tmp_path: Path,
) -> None:
    outbox = Outbox(tmp_path / "agent.sqlite", max_bytes=10_000)
    while Kind.PREDICTION.value not in outbox.lost:
        count = sum(held.messages for held in outbox.waiting.values())
        outbox.put(Kind.PREDICTION, bytes(900) + count.to_bytes(4))
    store = JobStore(outbox)
    store.finish("job-1", NOW_S, bytes(2000))
    for number in range(20):
        outbox.put(Kind.OUTCOME, bytes(900) + number.to_bytes(4))
    assert outbox.waiting[Kind.JOB_RESULT].messages == 1
    assert Kind.PREDICTION not in outbox.waiting
    outbox.close()


def test_file_of_an_older_release_keeps_its_messages_and_gets_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(OLD_SCHEMA)
    made = Outbox(tmp_path / "other.sqlite")
    made.put(Kind.REPORT, b"window")
    made.close()
    with closing(sqlite3.connect(path)) as old:
        old.execute("ATTACH ? AS made", (str(tmp_path / "other.sqlite"),))
        old.execute("INSERT INTO main.message SELECT * FROM made.message")
        old.commit()
    for _ in range(2):
        outbox = Outbox(path)
        store = JobStore(outbox)
        store.keep(job_of())
        assert [message.payload for message in outbox.due(9, NOW_S)] == [b"window"]
        assert (outbox.damaged, len(store.kept())) == (0, 1)
        outbox.close()


def test_job_that_cannot_be_read_is_given_up_and_costs_no_other(outbox: Outbox) -> None:
    store = JobStore(outbox)
    store.keep(job_of(id="job-1"))
    store.keep(job_of(id="job-2"))
    outbox.database.run(
        lambda found: found.execute("UPDATE job SET document = x'00' WHERE name = 'job-1'")
    )
    assert [kept.job.id for kept in store.kept()] == ["job-2"]
