# SPDX-License-Identifier: Apache-2.0
"""The API process: `python -m insight_cloud.app.main`, set up over standard input.

Started and supervised by `insight-cloud up`. It speaks plain HTTP, so it listens on
loopback, or behind what ends TLS.
"""

import logging
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI

from insight_cloud.app.device_door import DeviceServices, device_door
from insight_cloud.app.problems import answer_problems
from insight_cloud.builds.profiles import known_profiles
from insight_cloud.devices.service import Devices
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.child import setup_from_stdin
from insight_cloud.platform.database import Database, open_database
from insight_cloud.platform.presigned import Presigner, Upload
from insight_cloud.platform.setup import Setup
from insight_cloud.releases.files import ReleasedFiles
from insight_cloud.releases.keys import Keys
from insight_cloud.releases.service import Releases
from insight_cloud.telemetry.known import find_in
from insight_cloud.telemetry.samples import SampleState
from insight_cloud.telemetry.service import Telemetry
from insight_edge import __version__


def build_app(setup: Setup, database: Database) -> FastAPI:
    """Return the app over an installation whose database is open.

    Raises:
        InsightEdgeError: something of the installation cannot be read.
    """
    settings = setup.settings()
    blobs = open_blobs(settings.blobs_path)
    releases = Releases(database, blobs, settings.repository_path, Keys(settings.keys_path))
    telemetry = Telemetry(database, find_in(blobs), settings.log_path)

    def uploaded(upload: Upload) -> None:
        now, state = datetime.now(UTC), SampleState.UPLOADED
        telemetry.move_sample(upload.device, upload.digest, state, now, tenant=upload.tenant)

    app = FastAPI(title="Insight Cloud", version=__version__)
    answer_problems(app)
    app.include_router(
        device_door(
            DeviceServices(
                devices=Devices(database),
                blobs=blobs,
                presigner=Presigner(settings.state / "upload.secret"),
                profiles=known_profiles(settings.profiles_path),
                repository=settings.repository_path,
                root=lambda: releases.root().encode(),
                is_released=ReleasedFiles(releases, blobs).__contains__,
                uploaded=uploaded,
                broker=setup.broker.for_device,
                address=setup.address,
                clock=lambda: datetime.now(UTC),
            )
        )
    )
    return app


def main() -> None:
    """Serve until the process is ended."""
    setup = setup_from_stdin(Setup)
    logging.basicConfig(level=logging.INFO, format="api: %(levelname)s %(name)s: %(message)s")
    database = open_database(setup.settings().database_path)
    try:
        app = build_app(setup, database)
        uvicorn.run(app, host=setup.host, port=setup.port, log_config=None, access_log=False)
    finally:
        database.close()


if __name__ == "__main__":
    main()
