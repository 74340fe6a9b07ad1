# SPDX-License-Identifier: Apache-2.0
"""The API process: `python -m insight_cloud.app.main`, set up over standard input.

Started and supervised by `insight-cloud up`. It speaks plain HTTP, so it listens on
loopback, or behind what ends TLS.
"""

import logging

import uvicorn
from fastapi import FastAPI

from insight_cloud.app.device_door import DeviceServices, device_door
from insight_cloud.app.problems import answer_problems
from insight_cloud.builds.profiles import known_profiles
from insight_cloud.installation import Installation, open_installation
from insight_cloud.platform.child import setup_from_stdin
from insight_cloud.platform.clock import now
from insight_cloud.platform.presigned import Presigner, Upload
from insight_cloud.platform.setup import Setup
from insight_cloud.releases.files import ReleasedFiles
from insight_cloud.telemetry.samples import SampleState
from insight_edge import __version__


def build_app(setup: Setup, cloud: Installation) -> FastAPI:
    """Return the app over an open installation.

    Raises:
        InsightEdgeError: something of the installation cannot be read.
    """

    def uploaded(upload: Upload) -> None:
        state = SampleState.UPLOADED
        cloud.telemetry.move_sample(
            upload.device, upload.digest, state, now(), tenant=upload.tenant
        )

    app = FastAPI(title="Insight Cloud", version=__version__)
    answer_problems(app)
    app.include_router(
        device_door(
            DeviceServices(
                devices=cloud.devices,
                blobs=cloud.blobs,
                presigner=Presigner(cloud.settings.state / "upload.secret"),
                profiles=known_profiles(cloud.settings.profiles_path),
                repository=cloud.settings.repository_path,
                root=lambda: cloud.releases.root().encode(),
                is_released=ReleasedFiles(cloud.releases, cloud.blobs).__contains__,
                uploaded=uploaded,
                broker=setup.broker.for_device,
                address=setup.address,
                clock=now,
            )
        )
    )
    return app


def main() -> None:
    """Serve until the process is ended."""
    setup = setup_from_stdin(Setup)
    logging.basicConfig(level=logging.INFO, format="api: %(levelname)s %(name)s: %(message)s")
    with open_installation(setup.settings()) as cloud:
        app = build_app(setup, cloud)
        uvicorn.run(app, host=setup.host, port=setup.port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
