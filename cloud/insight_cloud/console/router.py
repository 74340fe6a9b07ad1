# SPDX-License-Identifier: Apache-2.0
"""The console: every page and file of it, as one router over an open installation."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, FastAPI

from insight_cloud.console.assets import Assets, static_files
from insight_cloud.console.desk import Desk
from insight_cloud.console.faults import answer_lost
from insight_cloud.console.pages.audit import audit_pages
from insight_cloud.console.pages.bundle import bundle_pages
from insight_cloud.console.pages.device import device_pages
from insight_cloud.console.pages.drift import drift_pages
from insight_cloud.console.pages.fleet import fleet_pages
from insight_cloud.console.pages.home import home_pages
from insight_cloud.console.pages.jobs import jobs_pages
from insight_cloud.console.pages.labelling import labelling_pages
from insight_cloud.console.pages.models import models_pages
from insight_cloud.console.pages.pipelines import pipelines_pages
from insight_cloud.console.pages.rollouts import rollouts_pages
from insight_cloud.console.pages.signing_in import signing_in_pages
from insight_cloud.console.pages.users import users_pages
from insight_cloud.console.shell import Shell
from insight_cloud.console.streams import Streams
from insight_cloud.installation import Installation
from insight_cloud.platform.clock import now

PAGES: tuple[Callable[[Desk], APIRouter], ...] = (
    signing_in_pages,
    home_pages,
    fleet_pages,
    device_pages,
    models_pages,
    bundle_pages,
    drift_pages,
    labelling_pages,
    rollouts_pages,
    jobs_pages,
    pipelines_pages,
    audit_pages,
    users_pages,
)


def add_console(
    app: FastAPI, cloud: Installation, *, clock: Callable[[], datetime] = now
) -> Streams:
    """Add the console to an app, and return its live streams, which whoever serves it ends."""
    assets = Assets()
    shell = Shell(assets, clock)
    streams = Streams()
    desk = Desk(cloud=cloud, shell=shell, streams=streams)
    app.include_router(static_files(assets))
    for pages in PAGES:
        app.include_router(pages(desk))
    answer_lost(app, shell)
    app.state.streams = streams
    return streams
