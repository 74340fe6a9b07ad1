# SPDX-License-Identifier: Apache-2.0
import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

# The tables of a domain join the metadata when it is imported.
import insight_cloud.builds.service
import insight_cloud.devices.service
import insight_cloud.jobs.service
import insight_cloud.labels.service
import insight_cloud.monitoring.service
import insight_cloud.pipelines.service
import insight_cloud.registry.service
import insight_cloud.releases.service
import insight_cloud.rollouts.service
import insight_cloud.telemetry.service  # noqa: F401
from insight_cloud.platform import migration
from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.migration import ensure_current, migration_config, upgrade
from insight_cloud.platform.schema import Row
from insight_edge.errors import ConfigurationError, UnsupportedVersionError

HEAD = ScriptDirectory.from_config(migration_config()).get_current_head()
NEXT_REVISION = f"""
from alembic import op

revision, down_revision = "9000", "{HEAD}"


def upgrade() -> None:
    op.execute("CREATE TABLE next_release (x)")
"""


def stamp(database: Database, revision: str) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE alembic_version SET version_num = ?", (revision,)
        )


def test_the_newest_revision_is_the_tables_that_the_code_declares(database: Database) -> None:
    with database.read() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, Row.metadata) == []


def test_every_table_starts_its_key_with_the_tenant() -> None:
    assert Row.metadata.tables
    for table in Row.metadata.tables.values():
        assert next(iter(table.primary_key.columns)).name == "tenant", table.name


def test_downgrade_takes_back_every_table(database: Database) -> None:
    config = migration_config()
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        command.downgrade(config, "base")
        assert inspect(session.connection()).get_table_names() == ["alembic_version"]


def test_upgrade_changes_nothing_when_repeated(database: Database) -> None:
    assert upgrade(database) == upgrade(database)


def test_ensure_current_makes_the_tables_of_a_new_database(tmp_path: Path) -> None:
    database = open_database(tmp_path / "new" / "cloud.sqlite")
    ensure_current(database)
    ensure_current(database)
    with database.read() as session:
        assert "registry_version" in inspect(session.connection()).get_table_names()
    database.close()


def test_a_database_of_a_newer_release_is_refused(database: Database) -> None:
    stamp(database, "9999")
    with pytest.raises(UnsupportedVersionError, match="9999"):
        ensure_current(database)
    with pytest.raises(UnsupportedVersionError, match="9999"):
        upgrade(database)


def test_a_failing_upgrade_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    database = open_database(tmp_path / "cloud.sqlite")
    with database.write() as session:  # in the way of the last table that the revision makes
        session.connection().exec_driver_sql("CREATE TABLE registry_alias (x)")
    with pytest.raises(Exception, match="already exists"):
        upgrade(database)
    with database.read() as session:
        assert inspect(session.connection()).get_table_names() == ["registry_alias"]
    database.close()


def test_an_older_database_is_left_alone_until_someone_migrates_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_release = tmp_path / "migrations"
    shutil.copytree(migration.SCRIPTS, next_release)
    (next_release / "versions" / "v9000_next.py").write_text(NEXT_REVISION)
    monkeypatch.setattr(migration, "SCRIPTS", next_release)
    with pytest.raises(
        ConfigurationError, match=f"revision {HEAD}, this release needs 9000"
    ) as caught:
        ensure_current(database)
    assert "insight-cloud migrate" in str(caught.value.hint)
    assert upgrade(database) == "9000"
    ensure_current(database)
