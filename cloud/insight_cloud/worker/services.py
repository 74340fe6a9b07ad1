# SPDX-License-Identifier: Apache-2.0
"""What the processes of the worker room have in common: an open installation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from insight_cloud.devices.service import Devices
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import open_database
from insight_cloud.platform.setup import Setup
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.service import Releases
from insight_cloud.telemetry.known import find_in
from insight_cloud.telemetry.service import Telemetry


@dataclass(frozen=True, kw_only=True)
class Services:
    """The domains, over one database."""

    devices: Devices
    telemetry: Telemetry
    releases: Releases


@contextmanager
def services_of(setup: Setup) -> Iterator[Services]:
    """Give the domains of an installation, closed at the end.

    Raises:
        StorageError: the installation cannot be read or written.
    """
    settings = setup.settings()
    database = open_database(settings.database_path)
    try:
        blobs = open_blobs(settings.blobs_path)
        yield Services(
            devices=Devices(database),
            telemetry=Telemetry(database, find_in(blobs), settings.log_path),
            releases=Releases(database, blobs, settings.repository_path, Keys(settings.keys_path)),
        )
    finally:
        database.close()


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
