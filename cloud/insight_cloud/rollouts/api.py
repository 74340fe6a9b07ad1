# SPDX-License-Identifier: Apache-2.0
"""Rollouts over HTTP: start them, watch them, steer them."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.devices.selection import Selection
from insight_cloud.rollouts.plan import MAX_WAVES, Plan
from insight_cloud.rollouts.rollout import Decided, Event, Member, Rollout
from insight_cloud.rollouts.service import MAX_PAGE, Rollouts

MAX_NAMED = 10_000
"""Devices that one request may name."""

MAX_REASON = 300

Clock = Callable[[], datetime]
Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
Name = Annotated[str, Field(min_length=1, max_length=63)]
Size = Annotated[str, Field(min_length=1, max_length=10)]
Number = Annotated[int, Path(ge=1, le=2**31)]
Named = Annotated[str, Path(min_length=1, max_length=63)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


class PlanIn(BaseModel):
    """The waves and the bounds of their gates; what is left out has the default of the guide."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    canary: Size | None = None
    waves: Annotated[tuple[Size, ...], Field(min_length=1, max_length=MAX_WAVES)] | None = None
    needed_share: float | None = None
    max_failed_share: float | None = None
    soak_s: float | None = None
    deadline_s: float | None = None
    least_calls: int | None = None
    error_margin: float | None = None
    p99_factor: float | None = None
    p99_slack_ms: float | None = None
    flagged_margin: float | None = None
    accuracy_margin: float | None = None
    least_outcomes: int | None = None
    baseline_s: float | None = None


class StartIn(BaseModel):
    """Which model version comes to which devices, and how."""

    model_config = ConfigDict(extra="forbid")

    model: Name
    version: Annotated[int, Field(ge=0, le=2**31)] | Name
    deployment: Name
    devices: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_NAMED)] | None = None
    text: Annotated[str, Field(max_length=63)] | None = None
    profile: Name | None = None
    plan: PlanIn = PlanIn()


class ActionIn(BaseModel):
    """Why a person steers a rollout."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""


class ResumeIn(ActionIn):
    """Why a person lets a rollout go on.

    Attributes:
        waive: the wave under way need not show more than it has.
    """

    waive: bool = False


class RolloutOut(BaseModel):
    """A rollout, how each device stands in it, and what was decided, the newest first."""

    rollout: Rollout
    members: tuple[Member, ...]
    decisions: tuple[Decided, ...]


class WhyNot(BaseModel):
    """Why a deployment is not updated.

    Attributes:
        why: one sentence; null where it runs what it should.
    """

    device: str
    deployment: str
    why: str | None


def router(rollouts: Rollouts, clock: Clock) -> APIRouter:
    """Return the routes of rollouts."""
    routes = APIRouter(prefix="/v1", tags=["rollouts"])
    _watching(routes, rollouts)
    _steering(routes, rollouts, clock)
    return routes


def _watching(routes: APIRouter, rollouts: Rollouts) -> None:
    @routes.get("/rollouts", summary="List rollouts, the newest first")
    def list_rollouts(
        actor: Viewer, active: bool | None = None, limit: Limit = 100
    ) -> list[Rollout]:
        return list(rollouts.list(active=active, limit=limit, tenant=actor.tenant))

    @routes.get("/rollouts/{rollout}", summary="Show a rollout, its devices and its decisions")
    def show(actor: Viewer, rollout: Number, decisions: Limit = 100) -> RolloutOut:
        return RolloutOut(
            rollout=rollouts.get(rollout, tenant=actor.tenant),
            members=rollouts.members(rollout, tenant=actor.tenant),
            decisions=rollouts.decisions(rollout, limit=decisions, tenant=actor.tenant),
        )

    @routes.get("/rollouts/{rollout}/events", summary="Follow a rollout from an event on")
    def events(
        actor: Viewer,
        rollout: Number,
        after: Annotated[int, Query(ge=0, le=2**31)] = 0,
        limit: Limit = MAX_PAGE,
    ) -> list[Event]:
        return list(rollouts.events(rollout, after=after, limit=limit, tenant=actor.tenant))

    @routes.get(
        "/devices/{device}/deployments/{deployment}/why-not",
        summary="Say in one sentence why a device is not updated",
    )
    def why_not(actor: Viewer, device: Named, deployment: Named) -> WhyNot:
        why = rollouts.why_not(device, deployment, tenant=actor.tenant)
        return WhyNot(device=device, deployment=deployment, why=why)


def _steering(routes: APIRouter, rollouts: Rollouts, clock: Clock) -> None:
    @routes.post("/rollouts", status_code=201, summary="Start a rollout")
    def start(actor: Operator, body: StartIn) -> Rollout:
        return rollouts.start(
            body.model,
            body.version,
            body.deployment,
            by=actor.name,
            now=clock(),
            selection=Selection(devices=body.devices, text=body.text, profile=body.profile),
            plan=Plan(**body.plan.model_dump(exclude_none=True)),
            tenant=actor.tenant,
        )

    @routes.post("/rollouts/{rollout}/pause", summary="Ask no further device, decide nothing")
    def pause(actor: Operator, rollout: Number, body: ActionIn) -> Rollout:
        return rollouts.pause(
            rollout, by=actor.name, now=clock(), reason=body.reason, tenant=actor.tenant
        )

    @routes.post("/rollouts/{rollout}/resume", summary="Go on, with a new deadline")
    def resume(actor: Operator, rollout: Number, body: ResumeIn) -> Rollout:
        return rollouts.resume(
            rollout,
            by=actor.name,
            now=clock(),
            reason=body.reason,
            waive=body.waive,
            tenant=actor.tenant,
        )

    @routes.post("/rollouts/{rollout}/abort", summary="Stop and leave every device as it is")
    def abort(actor: Operator, rollout: Number, body: ActionIn) -> Rollout:
        return rollouts.abort(
            rollout, by=actor.name, now=clock(), reason=body.reason, tenant=actor.tenant
        )

    @routes.post("/rollouts/{rollout}/roll-back", summary="Bring back the bundles there were")
    def roll_back(actor: Operator, rollout: Number, body: ActionIn) -> Rollout:
        return rollouts.roll_back(
            rollout, by=actor.name, now=clock(), reason=body.reason, tenant=actor.tenant
        )
