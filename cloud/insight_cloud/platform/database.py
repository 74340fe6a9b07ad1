# SPDX-License-Identifier: Apache-2.0
"""One SQLite file as two kinds of transaction, `read` and `write`.

A write takes the file's lock when it begins, so that what it reads before it
writes cannot change in between and two writers queue instead of deadlocking.
Domains receive a `Database`; none creates an engine.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from insight_edge.errors import StorageError

BUSY_TIMEOUT_S = 30
"""How long a transaction waits for another process's write."""

PAGE_BYTES = 8 * 1024
"""Of a new file. A report of each of many devices costs a page of an index; with a million
reports kept, one of 16 KiB takes a fifth longer to store and one of 4 KiB as long."""

CACHE_BYTES = 16 * 1024 * 1024
"""Of a connection, where it needs so many: a thousand reports are added up in half of it."""


class Database:
    """Transactions on one SQLite file, shared by threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._reader = engine
        self._writer = engine.execution_options(immediate=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session on one consistent snapshot; nothing it adds is kept.

        Raises:
            StorageError: the file cannot be read or is not a database.
        """
        with _wrapped(self._reader), Session(self._reader) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose changes are all committed at the end, or none of them.

        Raises:
            StorageError: the disk is full, the file cannot be written or stayed locked.
        """
        with _wrapped(self._writer), Session(self._writer) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self._reader.dispose()


def open_database(path: Path) -> Database:
    """Return the database in a file; the file and its folder are made where absent.

    Raises:
        StorageError: the folder cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent}: {error.strerror}") from error
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return Database(engine)


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # `_begin` begins; the driver would do so only at a write
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # before the journal, or it is too late
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{CACHE_BYTES // 1024}")


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def _wrapped(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            raise
        raise StorageError(f"{engine.url.database}: {error.orig}") from error
