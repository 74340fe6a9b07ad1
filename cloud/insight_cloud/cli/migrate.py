# SPDX-License-Identifier: Apache-2.0
"""Verb `migrate`: bring the database to the schema of this release."""

from contextlib import closing
from pathlib import Path

from insight_cloud.cli.opening import settings_of
from insight_cloud.cli.screen import err
from insight_cloud.platform.database import open_database
from insight_cloud.platform.migration import upgrade


def migrate(*, state: Path | None = None) -> None:
    """Bring the database to the schema of this release.

    Args:
        state: folder of this installation.
    """
    with closing(open_database(settings_of(state).database_path)) as database:
        err.print(f"the database is at revision {upgrade(database)}")
