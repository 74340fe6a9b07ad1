# SPDX-License-Identifier: Apache-2.0
"""A registry on a fresh SQLite file and a fresh folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_cloud.platform.blobs import Blobs, open_blobs
from insight_cloud.platform.database import Database
from insight_cloud.registry.service import Registry
from tests.fakes.migrated import migrated_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = migrated_database(tmp_path / "cloud.sqlite")
    yield database
    database.close()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(tmp_path / "blobs")


@pytest.fixture
def registry(database: Database, blobs: Blobs) -> Registry:
    return Registry(database, blobs)
