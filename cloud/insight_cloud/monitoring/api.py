# SPDX-License-Identifier: Apache-2.0
"""Monitoring over HTTP: alarms, what windows say, and when they make an alarm."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.monitoring.alarm import Alarm, Heatmap, WindowAssessment
from insight_cloud.monitoring.rules import MAX_VOTES, MAX_WINDOW_ROWS, Policy
from insight_cloud.monitoring.service import MAX_PAGE, MAX_REASON, Monitoring
from insight_edge.stats.threshold import LARGEST_BUDGET, LEAST_BUDGET, WINDOWS

MAX_NUMBER = 2**53

Clock = Callable[[], datetime]
Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
Digest = Annotated[str, Path(pattern="^sha256:[0-9a-f]{64}$")]
Model = Annotated[str, Path(min_length=1, max_length=63)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Votes = Annotated[int, Field(ge=1, le=MAX_VOTES)]


class AcknowledgeIn(BaseModel):
    """Why a person closes an alarm."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON)]


class PolicyIn(BaseModel):
    """When windows make an alarm; what is left out has its default."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    budget: Annotated[float, Field(ge=LEAST_BUDGET, le=LARGEST_BUDGET)] = Policy.budget
    window_rows: Annotated[int, Field(ge=WINDOWS[0], le=MAX_WINDOW_ROWS)] = Policy.window_rows
    votes: Votes = Policy.votes
    windows: Votes = Policy.windows
    steady: Votes = Policy.steady


def router(monitoring: Monitoring, clock: Clock) -> APIRouter:
    """Return the routes of monitoring."""
    routes = APIRouter(prefix="/v1", tags=["monitoring"])
    _add_alarms(routes, monitoring, clock)
    _add_windows(routes, monitoring)
    _add_policy(routes, monitoring, clock)
    return routes


def _add_alarms(routes: APIRouter, monitoring: Monitoring, clock: Clock) -> None:
    @routes.get("/alarms", summary="List alarms, the newest first")
    def list_alarms(
        actor: Viewer,
        open: Annotated[  # noqa: A002 - the name of the parameter in the address
            bool | None, Query(description="only open ones, only closed ones, or all if left out")
        ] = None,
        limit: Limit = 100,
    ) -> list[Alarm]:
        return list(monitoring.alarms(is_open=open, limit=limit, tenant=actor.tenant))

    @routes.get("/alarms/{alarm}", summary="One alarm")
    def get_alarm(alarm: Number, actor: Viewer) -> Alarm:
        return monitoring.alarm(alarm, tenant=actor.tenant)

    @routes.post("/alarms/{alarm}/acknowledge", summary="Close an alarm and say why")
    def acknowledge(alarm: Number, body: AcknowledgeIn, actor: Operator) -> Alarm:
        return monitoring.acknowledge(
            alarm, reason=body.reason, by=actor.name, now=clock(), tenant=actor.tenant
        )


def _add_windows(routes: APIRouter, monitoring: Monitoring) -> None:
    @routes.get("/bundles/{bundle}/assessments", summary="What its windows say, the newest first")
    def list_assessments(
        bundle: Digest,
        actor: Viewer,
        before: Annotated[int | None, Query(ge=1, le=MAX_NUMBER)] = None,
        limit: Limit = 100,
    ) -> list[WindowAssessment]:
        found = monitoring.assessments(bundle, before=before, limit=limit, tenant=actor.tenant)
        return list(found)

    @routes.get(
        "/bundles/{bundle}/heatmap", summary="Scores by feature and window, the oldest first"
    )
    def get_heatmap(bundle: Digest, actor: Viewer, limit: Limit = 48) -> Heatmap:
        return monitoring.heatmap(bundle, limit=limit, tenant=actor.tenant)


def _add_policy(routes: APIRouter, monitoring: Monitoring, clock: Clock) -> None:
    @routes.get("/models/{model}/monitoring", summary="When windows of a model make an alarm")
    def get_policy(model: Model, actor: Viewer) -> Policy:
        return monitoring.policy(model, tenant=actor.tenant)

    @routes.put("/models/{model}/monitoring", summary="Say when windows of a model make an alarm")
    def put_policy(model: Model, body: PolicyIn, actor: Operator) -> Policy:
        policy = Policy(**body.model_dump())
        monitoring.set_policy(model, policy, by=actor.name, now=clock(), tenant=actor.tenant)
        return monitoring.policy(model, tenant=actor.tenant)
