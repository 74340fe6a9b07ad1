# SPDX-License-Identifier: Apache-2.0
"""What was compiled for the fleet, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.builds.rules import Build
from insight_cloud.builds.service import MAX_LISTED, Builds


def router(builds: Builds) -> APIRouter:
    """Return the routes of builds."""
    routes = APIRouter(prefix="/v1/builds", tags=["builds"])

    @routes.get("", summary="List builds, the newest first, with their trials")
    def list_builds(
        actor: Annotated[Actor, Depends(need(Role.VIEWER))],
        model: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 100,
    ) -> list[Build]:
        return list(builds.builds(model, limit=limit, tenant=actor.tenant))

    return routes
