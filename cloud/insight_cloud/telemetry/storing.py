# SPDX-License-Identifier: Apache-2.0
"""What the queries of telemetry share: writing many rows, some there already; believing a time."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Compiled, Dialect, UpdateBase, case
from sqlalchemy import Row as Found
from sqlalchemy import insert as insert_into
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from insight_cloud.platform.schema import Row
from insight_cloud.telemetry.rules import MAX_AHEAD_S, MAX_LATE_S


class SeenError(Exception):
    """Rows were thought to be new and are not; they are to be inserted with more care."""


_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}


def placed_column(
    device_s: InstrumentedAttribute[float], arrived_s: InstrumentedAttribute[float]
) -> ColumnElement[float]:
    """Return when something happened, as `rules.placed_s` does."""
    late_s = arrived_s - device_s
    return case((late_s.between(-MAX_AHEAD_S, MAX_LATE_S), device_s), else_=arrived_s)


def insert_new(
    session: Session,
    table: type[Row],
    rows: Sequence[dict[str, Any]],
    returning: Sequence[InstrumentedAttribute[Any]],
) -> Sequence[Found[Any]]:
    """Insert the rows whose key is not there yet and return these columns of each of them.

    Of rows with one key the first is inserted. They go in by the order of their keys, so that
    two transactions with the same rows wait for each other and never both. The count of rows
    that a driver tells is not used: psycopg does not know it here.
    """
    if not rows:
        return ()
    connection = session.connection()
    insert = _DIALECTS[connection.dialect.name].insert(table.__table__)
    return connection.execute(
        insert.on_conflict_do_nothing().returning(*returning), sorted(rows, key=_key_of(table))
    ).all()


def insert_unseen(session: Session, table: type[Row], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of which no key is there yet.

    It takes a third of the time of `insert_new`; see `execute_plain`.

    Raises:
        SeenError: some are there; the transaction cannot go on.
    """
    try:
        execute_plain(session, _insertion(table), sorted(rows, key=_key_of(table)))
    except IntegrityError as error:
        raise SeenError from error


def execute_plain(session: Session, statement: UpdateBase, rows: Sequence[dict[str, Any]]) -> None:
    """Execute a statement for each of some rows, which the driver gets as they are.

    SQLAlchemy takes longer to look at a row than SQLite to write it. No value is turned into
    what its column's type keeps: one of JSON is given as text.
    """
    if not rows:
        return
    connection = session.connection()
    compiled = _compiled(statement, connection.dialect)
    connection.exec_driver_sql(str(compiled), _parameters(compiled, rows))


def _key_of(table: type[Row]) -> Callable[[Any], Any]:
    return itemgetter(*(column.name for column in table.__table__.primary_key))


@lru_cache
def _insertion(table: type[Row]) -> UpdateBase:
    return insert_into(table)


@lru_cache
def _compiled(statement: UpdateBase, dialect: Dialect) -> Compiled:
    return statement.compile(dialect=dialect)


def _parameters(statement: Any, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Return rows as the driver takes them: by place, or by name."""
    return list(map(itemgetter(*statement.positiontup), rows) if statement.positional else rows)
