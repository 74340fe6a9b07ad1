# SPDX-License-Identifier: Apache-2.0
"""One SQLite file that outlives crashes, full disks and its own damage.

Work is done in one transaction or not at all. What SQLite says of a disk that is
full or failing becomes one clear line here. A file that cannot be read is moved
aside as `<name>.damaged-<n>`, of which the newest alone is kept, and a new one is
begun: an agent that cannot start helps nobody. It knows no table.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from insight_edge.bundle.durable import storing, sync_directory
from insight_edge.errors import StorageError

BUSY_S: Final = 5.0
MAX_LOG_BYTES: Final = 4 * 1024 * 1024
"""What the write-ahead log is cut back to."""

_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_DATA,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
    }
)
"""The file is at fault, not the moment: another attempt would say the same."""

_log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Database:
    """A file of one process; every method may be used from any thread.

    Args:
        path: of the file; directories above it are made.
        schema: statements that make the tables of an empty one; one that has some of them, as an
            older release made it, gets the others.

    Raises:
        StorageError: the disk cannot be written, or another process holds the file.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._lock = threading.Lock()
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._wrapping():
            self._connection = self._open_whole()

    @property
    def damaged(self) -> int:
        """How many files were moved aside since the first."""
        return max((_count(path) for path in self._aside()), default=0)

    def run(self, work: Work[T], *, lasting: bool = True) -> T:
        """Return what the work returns, all of it written or none.

        Where the file is found damaged, the work is done again on a new and empty one.

        Args:
            work: is given the connection, inside a transaction.
            lasting: wait until it would survive a power cut.

        Raises:
            StorageError: the disk is full or cannot be written; nothing was.
        """
        with self._lock, self._wrapping():
            try:
                return self._transact(work, lasting=lasting)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if not _is_damage(error):
                    raise
                self._renew(error)
                return self._transact(work, lasting=lasting)

    def close(self) -> None:
        """Close the file; afterwards nothing else may be called."""
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()

    def _transact(self, work: Work[T], *, lasting: bool) -> T:
        connection = self._connection
        connection.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return done

    def _open_whole(self) -> sqlite3.Connection:
        if self._path.exists() and not _usable(self._path):
            self._set_aside("not a file that can be read and written")
        try:
            return _open(self._path, self._schema)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not _is_damage(error):
                raise
            self._set_aside(str(error))
            return _open(self._path, self._schema)

    def _renew(self, error: Exception) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()
        self._set_aside(str(error))
        self._connection = _open(self._path, self._schema)

    def _set_aside(self, reason: str) -> None:
        """Give the file another name, its log first: a log must never meet a newer file."""
        _log.warning("%s: moved aside, begun anew: %s", self._path, reason)
        earlier = self._aside()
        aside = self._path.with_name(f"{self._path.name}.damaged-{self.damaged + 1}")
        with storing(self._path):
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    _beside(self._path, suffix).replace(_beside(aside, suffix))
            sync_directory(self._path.parent)
            for old in earlier:
                _remove(old)

    def _aside(self) -> list[Path]:
        return list(self._path.parent.glob(f"{self._path.name}.damaged-*"))

    @contextmanager
    def _wrapping(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = _code(error) & 0xFF == sqlite3.SQLITE_FULL
            raise StorageError(
                f"{self._path}: cannot be written: {error}",
                hint="free some space and try again" if full else None,
            ) from error


def _open(path: Path, schema: str) -> sqlite3.Connection:
    """Return a connection to a file that is whole and has these tables.

    Raises:
        sqlite3.Error: it has not, or cannot be opened.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
        if not _tables(connection):
            connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
        _add_tables(connection, schema)
        _refuse_damage(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return names and statements, in the order in which they were made."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return list(rows.fetchall())


def _add_tables(connection: sqlite3.Connection, schema: str) -> None:
    """Make the tables that are not there yet, and refuse a file that has others."""
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(schema)
        wanted = _tables(model)
    found = _tables(connection)
    if not set(found) <= set(wanted):
        raise _damage("it has other tables")
    lacking = "; ".join(sql for name, sql in wanted if (name, sql) not in found)
    if lacking:
        connection.executescript(f"BEGIN IMMEDIATE; {lacking}; COMMIT;")


def _refuse_damage(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise _damage(str(found))


def _damage(reason: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_damage(error: Exception) -> bool:
    # What a file says is UTF-8 unless it is damaged; such errors come without a code.
    if isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in str(error):
        return True
    return _code(error) in _DAMAGE or _code(error) & 0xFF in _DAMAGE


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0)


def _usable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK | os.W_OK)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _count(aside: Path) -> int:
    digits = aside.name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
