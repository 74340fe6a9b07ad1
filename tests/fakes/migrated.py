# SPDX-License-Identifier: Apache-2.0
"""A database with its tables: migrated once in a process, and copied for each test.

That a migration gives these tables is for `test_migration` to prove; to repeat it
for hundreds of tests took a twentieth of the time of all suites.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.migration import upgrade


def migrated_database(path: Path) -> Database:
    """Return the database in a file; a new one has the tables of this release."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_with_tables())
    return open_database(path)


@cache
def _with_tables() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cloud.sqlite"
        database = open_database(path)
        upgrade(database)
        database.close()
        return path.read_bytes()
