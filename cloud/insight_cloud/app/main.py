# SPDX-License-Identifier: Apache-2.0
"""The API process: `python -m insight_cloud.app.main`, set up over standard input.

Started and supervised by `insight-cloud up`. It speaks plain HTTP, so it listens on
loopback, or behind what ends TLS.
"""

import logging
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from insight_cloud.accounts.api import router as accounts_router
from insight_cloud.app.bounds import BodyBound
from insight_cloud.app.device_door import DeviceServices, device_door
from insight_cloud.app.docs import show_docs
from insight_cloud.app.headers import Headers
from insight_cloud.app.operators import add_operators_routes
from insight_cloud.app.problems import answer_problems
from insight_cloud.app.serving import serve
from insight_cloud.app.unreadable import answer_unreadable
from insight_cloud.builds.api import router as builds_router
from insight_cloud.builds.profiles import known_profiles
from insight_cloud.console.router import add_console
from insight_cloud.installation import Installation, open_installation
from insight_cloud.jobs.api import router as jobs_router
from insight_cloud.monitoring.api import router as monitoring_router
from insight_cloud.pipelines.api import router as pipelines_router
from insight_cloud.platform.child import setup_from_stdin
from insight_cloud.platform.clock import now
from insight_cloud.platform.presigned import Presigner, Upload
from insight_cloud.platform.setup import Setup
from insight_cloud.releases.files import ReleasedFiles
from insight_cloud.rollouts.api import router as rollouts_router
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

    app = FastAPI(title="Insight Cloud", version=__version__, docs_url=None, redoc_url=None)
    app.state.accounts = cloud.accounts
    answer_problems(app)
    answer_unreadable(app)
    show_docs(app)
    app.add_middleware(BodyBound)
    app.add_middleware(Headers)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_hosts(setup))
    app.include_router(accounts_router(cloud.accounts))
    add_operators_routes(app, cloud, now)
    app.include_router(monitoring_router(cloud.monitoring, now))
    app.include_router(rollouts_router(cloud.rollouts, now))
    app.include_router(jobs_router(cloud.jobs, now))
    app.include_router(builds_router(cloud.builds))
    app.include_router(pipelines_router(cloud.pipelines, now))
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
    add_console(app, cloud)
    return app


def _hosts(setup: Setup) -> list[str]:
    """Return the names this door has; a page of another site may give any to a name of its own."""
    return [urlsplit(setup.address).hostname or setup.host, "127.0.0.1", "localhost"]


def main() -> None:
    """Serve until the process is ended."""
    setup = setup_from_stdin(Setup)
    logging.basicConfig(level=logging.INFO, format="api: %(levelname)s %(name)s: %(message)s")
    with open_installation(setup.settings()) as cloud:
        app = build_app(setup, cloud)
        serve(app, setup.host, setup.port, app.state.streams.stopping)


if __name__ == "__main__":
    main()
