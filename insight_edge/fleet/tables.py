# SPDX-License-Identifier: Apache-2.0
"""The tables of the agent's one file: messages that wait for the cloud, and jobs.

They lie in one file so that a job is over in the very transaction that keeps its
result. What is in them is `fleet.link.outbox`'s and `fleet.jobs.store`'s business.
"""

from typing import Final

from insight_edge.fleet.link.queueing import KEPT

_KINDS: Final = ", ".join(f"'{kind.value}'" for kind in KEPT)

SCHEMA: Final = f"""
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ({_KINDS})),
    payload BLOB NOT NULL,
    length_bytes INTEGER NOT NULL CHECK (length_bytes = length(payload)),
    attempts INTEGER NOT NULL DEFAULT 0,
    due_s REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX message_turn ON message (kind, id, due_s, length_bytes);
CREATE TABLE lost (kind TEXT PRIMARY KEY, messages INTEGER NOT NULL) STRICT;
CREATE TABLE job (
    place INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    document BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE job_over (name TEXT PRIMARY KEY, expires_s REAL NOT NULL) STRICT;
"""
"""A file of an older release gets the tables that it lacks; none is ever changed."""
