# SPDX-License-Identifier: Apache-2.0
"""Bring a database to the schema of this release, or say that it is not there.

The revisions are in `migrations/versions`; each domain's tables arrive by one.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from insight_cloud.platform.database import Database
from insight_edge.errors import ConfigurationError, UnsupportedVersionError

SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> str:
    """Apply every revision that is missing, all or none, and return the newest.

    Raises:
        UnsupportedVersionError: the database was migrated by a newer release.
        StorageError: the database cannot be written.
    """
    config = migration_config()
    with database.write() as session:
        connection = session.connection()
        _refuse_newer(MigrationContext.configure(connection).get_current_revision(), config)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return _head(config)


def ensure_current(database: Database) -> None:
    """Make the tables of a new database; leave an existing one alone, if it is current.

    Raises:
        ConfigurationError: the database is of an older release.
        UnsupportedVersionError: the database was migrated by a newer release.
        StorageError: the database cannot be read, or a new one not written.
    """
    config = migration_config()
    with database.read() as session:
        found = MigrationContext.configure(session.connection()).get_current_revision()
    if found is None:
        upgrade(database)
        return
    _refuse_newer(found, config)
    if found != _head(config):
        raise ConfigurationError(
            f"the database is at revision {found}, this release needs {_head(config)}",
            hint="back it up, then run insight-cloud migrate",
        )


def migration_config() -> Config:
    """Return Alembic's configuration; whoever runs it adds the connection."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    return config


def _head(config: Config) -> str:
    return ScriptDirectory.from_config(config).get_current_head() or ""


def _refuse_newer(found: str | None, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise UnsupportedVersionError(
            f"the database is at revision {found}, which this release does not know",
            hint="update insight-cloud on this machine",
        )
