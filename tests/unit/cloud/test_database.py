# SPDX-License-Identifier: Apache-2.0
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from insight_cloud.platform.database import PAGE_BYTES, Database, open_database
from insight_cloud.platform.schema import UtcTime
from insight_edge.errors import StorageError

DIALECT = sqlite.dialect()


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_survives_a_store_that_forgets_zones(moment: datetime) -> None:
    bound = UtcTime().process_bind_param(moment, DIALECT)
    assert bound is not None
    read = UtcTime().process_result_value(bound.replace(tzinfo=None), DIALECT)
    assert read == moment.astimezone(UTC)
    assert read.tzinfo is UTC


def test_a_moment_of_another_zone_is_returned_in_utc() -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert UtcTime().process_result_value(moment, DIALECT) == moment


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        UtcTime().process_bind_param(datetime(2026, 1, 1), DIALECT)  # noqa: DTZ001 - the point


def test_the_file_is_in_wal_mode_with_foreign_keys(database: Database) -> None:
    with database.read() as session:
        connection = session.connection()
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA page_size").scalar() == PAGE_BYTES


def test_nothing_of_a_write_is_kept_when_it_raises(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            session.connection().exec_driver_sql("CREATE TABLE t (x)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as session:
        found = session.connection().exec_driver_sql(
            "SELECT count(*) FROM sqlite_master WHERE name = 't'"
        )
        assert found.scalar() == 0


def test_nothing_that_a_read_adds_is_kept(database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE t (x)")
    with database.read() as session:
        session.connection().exec_driver_sql("INSERT INTO t VALUES (1)")
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM t").scalar() == 0


def test_a_second_writer_waits_for_the_first_and_sees_what_it_wrote(database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE t (x)")
    seen: list[int] = []
    started = threading.Event()

    def second() -> None:
        started.set()
        with database.write() as session:
            seen.append(session.connection().exec_driver_sql("SELECT count(*) FROM t").scalar_one())

    thread = threading.Thread(target=second)
    with database.write() as session:
        count = session.connection().exec_driver_sql("SELECT count(*) FROM t").scalar_one()
        thread.start()
        started.wait()
        thread.join(0.1)  # would finish here, if it could read before this one wrote
        session.connection().exec_driver_sql("INSERT INTO t VALUES (1)")
    thread.join()
    assert (count, seen) == (0, [1])


def test_a_full_disk_is_a_storage_error_and_nothing_is_kept(database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE t (x)")

    def fill() -> None:
        with database.write() as session:
            connection = session.connection()
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
            for _ in range(100):
                connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(4096))")

    with pytest.raises(StorageError, match="full"):
        fill()
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM t").scalar() == 0


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path: Path) -> None:
    file = tmp_path / "cloud.sqlite"
    file.write_bytes(b"not a database" * 100)
    database = open_database(file)
    with pytest.raises(StorageError, match="not a database"), database.read() as session:
        session.connection()
    database.close()


def test_open_refuses_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        open_database(tmp_path / "file" / "cloud.sqlite")
