# SPDX-License-Identifier: Apache-2.0
"""Open what an installation has; settings are read here and nowhere else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.migration import ensure_current
from insight_cloud.platform.settings import SETTINGS_FILE, Settings, load_settings


def settings_of(state: Path | None) -> Settings:
    """Return the settings of this installation.

    Raises:
        ConfigurationError: a file, variable or flag cannot be meant.
    """
    return load_settings(Path(SETTINGS_FILE), os.environ, {"state": state})


@contextmanager
def database_of(settings: Settings, *, current: bool = True) -> Iterator[Database]:
    """Give the database, closed at the end.

    Args:
        settings: where it is.
        current: make its tables where it is new, and refuse one of an older release.

    Raises:
        ConfigurationError, UnsupportedVersionError: it is of another release.
        StorageError: it cannot be read or written.
    """
    database = open_database(settings.database_path)
    try:
        if current:
            ensure_current(database)
        yield database
    finally:
        database.close()
