# SPDX-License-Identifier: Apache-2.0
"""Retraining over HTTP: its runs, and how each model is retrained."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.pipelines.rules import DAY_S, MAX_S, MAX_SAMPLES, Policy, Run
from insight_cloud.pipelines.service import MAX_LISTED, Pipelines

ModelName = Annotated[str, Path(max_length=63)]
RunId = Annotated[str, Path(max_length=64)]
Seconds = Annotated[float, Field(ge=1, le=MAX_S)]
Samples = Annotated[int, Field(ge=0, le=MAX_SAMPLES)]
Points = Annotated[float, Field(ge=0, le=100)]
Target = Annotated[str, Field(max_length=100)]

Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]


class Wanted(BaseModel):
    """A run that somebody wants."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=63)]
    because: Annotated[str, Field(max_length=500)] = "a person asked for it"


class PolicyBody(BaseModel):
    """How a model is retrained; what is left out is as by default."""

    model_config = ConfigDict(extra="forbid")

    automatic: bool = False
    deployment: Annotated[str, Field(max_length=63)] = "default"
    samples: Samples = 400
    samples_each: Samples = 200
    labels: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = 100
    holdout: Annotated[float, Field(ge=0.05, le=0.95)] = 0.3
    min_gain_pp: Points = 0.0
    max_old_drop_pp: Points = 3.0
    max_drop_pp: Points | None = None
    targets: Annotated[tuple[Target, ...], Field(max_length=32)] = ()
    labels_within_s: Seconds = 3 * DAY_S
    approval_within_s: Seconds = 7 * DAY_S
    rollout_within_s: Seconds = 7 * DAY_S
    timing_within_s: Annotated[float, Field(ge=0, le=MAX_S)] = 3600.0
    cooldown_s: Annotated[float, Field(ge=0, le=MAX_S)] = 6 * 3600.0
    plan: Annotated[dict[str, Any], Field(max_length=64)] = {}


def router(pipelines: Pipelines, clock: Callable[[], datetime]) -> APIRouter:
    """Return the routes of pipelines."""
    routes = APIRouter(prefix="/v1", tags=["pipelines"])

    @routes.get("/pipelines/runs", summary="List runs, the newest first")
    def list_runs(
        actor: Viewer,
        model: str | None = None,
        active: bool = False,
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 100,
    ) -> list[Run]:
        return list(pipelines.runs(model, active=active, limit=limit, tenant=actor.tenant))

    @routes.get("/pipelines/runs/{run}", summary="Show a run with its steps")
    def show_run(actor: Viewer, run: RunId) -> Run:
        return pipelines.run(run, tenant=actor.tenant)

    @routes.post("/pipelines/runs", status_code=201, summary="Open a run")
    def start_run(actor: Operator, wanted: Wanted) -> Run:
        return pipelines.open(
            wanted.model, because=wanted.because, by=actor.name, now=clock(), tenant=actor.tenant
        )

    @routes.post("/pipelines/runs/{run}/cancel", summary="Ask for the end of a run")
    def cancel_run(actor: Operator, run: RunId) -> Run:
        return pipelines.cancel(run, by=actor.name, now=clock(), tenant=actor.tenant)

    @routes.get("/models/{model}/retraining", summary="Show how a model is retrained")
    def show_policy(actor: Viewer, model: ModelName) -> PolicyBody:
        return PolicyBody(**asdict(pipelines.policy(model, tenant=actor.tenant)))

    @routes.put("/models/{model}/retraining", summary="Say how a model is retrained")
    def set_policy(actor: Operator, model: ModelName, body: PolicyBody) -> PolicyBody:
        policy = Policy(**body.model_dump())
        pipelines.set_policy(model, policy, by=actor.name, now=clock(), tenant=actor.tenant)
        return body

    return routes
