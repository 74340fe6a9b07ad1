# SPDX-License-Identifier: Apache-2.0
"""Verb `migrate`: bring the database to the schema of this release."""

from pathlib import Path

from insight_cloud.cli.installation import database_of, settings_of
from insight_cloud.cli.screen import err
from insight_cloud.platform.migration import upgrade


def migrate(*, state: Path | None = None) -> None:
    """Bring the database to the schema of this release.

    Args:
        state: folder of this installation.
    """
    with database_of(settings_of(state), current=False) as database:
        err.print(f"the database is at revision {upgrade(database)}")
