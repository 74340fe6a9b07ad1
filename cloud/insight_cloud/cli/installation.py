# SPDX-License-Identifier: Apache-2.0
"""Open what an installation has; settings are read here and nowhere else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_cloud.devices.service import Devices
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.migration import ensure_current
from insight_cloud.platform.settings import SETTINGS_FILE, Settings, load_settings
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.service import Releases

State = Annotated[Path | None, Parameter(name=["--state"])]
"""Folder of this installation."""


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


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


@contextmanager
def devices_of(state: Path | None) -> Iterator[Devices]:
    """Give the devices; raises as `database_of`."""
    with database_of(settings_of(state)) as database:
        yield Devices(database)


@contextmanager
def releases_of(state: Path | None) -> Iterator[Releases]:
    """Give the releases, with the keys that are here; raises as `database_of`."""
    settings = settings_of(state)
    with database_of(settings) as database:
        yield releases_in(settings, database)


def releases_in(settings: Settings, database: Database) -> Releases:
    """Return the releases of an installation whose database is open.

    Raises:
        StorageError: a folder cannot be made.
    """
    blobs = open_blobs(settings.blobs_path)
    return Releases(database, blobs, settings.repository_path, Keys(settings.keys_path))
