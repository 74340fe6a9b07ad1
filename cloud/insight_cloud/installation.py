# SPDX-License-Identifier: Apache-2.0
"""One installation, opened: every domain over one database and one blob store.

Programs are composed from it; it decides nothing and keeps nothing itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from insight_cloud.accounts.service import Accounts
from insight_cloud.builds.compiling import Compiler
from insight_cloud.builds.profiles import known_profiles
from insight_cloud.builds.service import Builds
from insight_cloud.devices.service import Devices
from insight_cloud.jobs.service import Jobs
from insight_cloud.labels.service import Labels
from insight_cloud.monitoring.service import Monitoring
from insight_cloud.pipelines.service import Pipelines
from insight_cloud.platform.blobs import Blobs, open_blobs
from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.migration import ensure_current
from insight_cloud.platform.settings import Settings
from insight_cloud.registry.service import Registry
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.service import Releases
from insight_cloud.rollouts.service import Rollouts
from insight_cloud.telemetry.known import find_in
from insight_cloud.telemetry.service import Telemetry


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The domains of one installation; threads may share it."""

    settings: Settings
    database: Database
    blobs: Blobs
    accounts: Accounts
    builds: Builds
    devices: Devices
    jobs: Jobs
    labels: Labels
    monitoring: Monitoring
    pipelines: Pipelines
    registry: Registry
    releases: Releases
    rollouts: Rollouts
    telemetry: Telemetry


@contextmanager
def open_installation(settings: Settings) -> Iterator[Installation]:
    """Give an installation, closed at the end; the tables of a new one are made.

    Raises:
        ConfigurationError, UnsupportedVersionError: its database is of another release.
        StorageError: it cannot be read or written.
    """
    database = open_database(settings.database_path)
    try:
        ensure_current(database)
        yield installation_over(database, settings)
    finally:
        database.close()


def installation_over(database: Database, settings: Settings) -> Installation:
    """Return the domains over a database that is open and current.

    Raises:
        StorageError: a folder cannot be made.
    """
    blobs = open_blobs(settings.blobs_path)
    registry = Registry(database, blobs)
    devices = Devices(database)
    releases = Releases(database, blobs, settings.repository_path, Keys(settings.keys_path))
    telemetry = Telemetry(
        database, find_in(blobs), settings.log_path, segment_rows=settings.segment_rows
    )
    compiler = Compiler(settings.state / "builds")
    return Installation(
        settings=settings,
        database=database,
        blobs=blobs,
        accounts=Accounts(database),
        builds=Builds(database, registry, compiler, settings.profiles_path),
        devices=devices,
        jobs=Jobs(database, devices, releases, registry),
        labels=Labels(database, telemetry, blobs),
        monitoring=Monitoring(database, telemetry, registry, blobs),
        pipelines=Pipelines(database, registry),
        registry=registry,
        releases=releases,
        rollouts=Rollouts(
            database,
            devices,
            releases,
            telemetry,
            registry,
            lambda: known_profiles(settings.profiles_path),
        ),
        telemetry=telemetry,
    )
