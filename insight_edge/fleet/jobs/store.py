# SPDX-License-Identifier: Apache-2.0
"""Jobs that wait and ids of those that are over, in the agent's file (rule J2).

A job is over in the transaction that puts its result into the outbox. Ids are
forgotten when nobody would believe their job any more. It decides nothing.
"""

import logging
import sqlite3
from typing import NamedTuple

from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.job import Job
from insight_edge.documents.topics import Kind
from insight_edge.errors import DocumentError
from insight_edge.fleet.link.outbox import Outbox

_log = logging.getLogger(__name__)


class Kept(NamedTuple):
    """A job that is to be done.

    Attributes:
        attempts: times that it was begun without being put back or over.
    """

    job: Job
    attempts: int


class JobStore:
    """Jobs of one agent; every method may be used from any thread.

    Args:
        outbox: of the agent, whose file they lie in.

    Raises:
        StorageError: the disk cannot be written; so of every method.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._database = outbox.database

    def kept(self) -> tuple[Kept, ...]:
        """Return the jobs that are to be done, in the order in which they came."""
        return self._database.run(_all_kept, lasting=False)

    def over(self) -> frozenset[str]:
        """Return the ids of jobs that are over and have not been forgotten."""
        query = "SELECT name FROM job_over"
        rows = self._database.run(lambda found: found.execute(query).fetchall(), lasting=False)
        return frozenset(name for (name,) in rows)

    def keep(self, job: Job) -> None:
        """Write a job down."""
        query = "INSERT OR IGNORE INTO job (name, document) VALUES (?, ?)"
        self._write(query, (job.id, encode_json(job)))

    def begin(self, name: str) -> None:
        """Write down that a job is begun, before it is."""
        self._write("UPDATE job SET attempts = attempts + 1 WHERE name = ?", (name,))

    def put_back(self, name: str) -> None:
        """Write down that a job has ended in good order, and is begun anew later."""
        self._write("UPDATE job SET attempts = max(attempts - 1, 0) WHERE name = ?", (name,))

    def finish(self, name: str, expires_s: float, payload: bytes) -> None:
        """Keep the result of a job, and never do that job again: both or neither.

        Args:
            name: id of the job.
            expires_s: nobody believes the job after this.
            payload: a `JobResult` as it is sent.
        """

        def over(found: sqlite3.Connection) -> None:
            found.execute("DELETE FROM job WHERE name = ?", (name,))
            query = "INSERT OR REPLACE INTO job_over VALUES (?, ?)"
            found.execute(query, (name, expires_s))

        self._outbox.put(Kind.JOB_RESULT, payload, also=over)

    def forget(self, passed_s: float) -> None:
        """Forget ids of jobs that nobody would believe any more.

        Args:
            passed_s: seconds since the epoch that have certainly passed. The device's clock is
                not good enough: it may be set back, and what expired come again.
        """
        self._write("DELETE FROM job_over WHERE expires_s < ?", (passed_s,))

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        def work(found: sqlite3.Connection) -> None:
            found.execute(query, values)

        self._database.run(work)


def _all_kept(found: sqlite3.Connection) -> tuple[Kept, ...]:
    kept = []
    query = "SELECT place, document, attempts FROM job ORDER BY place"
    for place, document, attempts in found.execute(query).fetchall():
        try:
            kept.append(Kept(decode_json(Job, document), attempts))
        except DocumentError as error:
            _log.warning("a job that cannot be read is given up: %s", error)
            found.execute("DELETE FROM job WHERE place = ?", (place,))
    return tuple(kept)
