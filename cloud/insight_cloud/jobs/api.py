# SPDX-License-Identifier: Apache-2.0
"""Jobs over HTTP: ask devices for measurements, watch, take back, fetch what was measured."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.devices.selection import Selection
from insight_cloud.jobs.job import Job, Measured, Member, Terms, Wanted
from insight_cloud.jobs.measurements import Spread, spreads
from insight_cloud.jobs.service import MAX_JOBS, MAX_KEY, Jobs
from insight_cloud.platform.answers import Responses, refusals

DIGEST = r"^sha256:[0-9a-f]{64}$"
EXAMPLE = "sha256:" + "5f" * 32
LINES = "application/jsonl"
AFTER = "Insight-After"
"""Header that says where the next page begins; absent on the last."""

MAX_NAMED = 100
MAX_REASON = 300

Clock = Callable[[], datetime]
Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
JobId = Annotated[str, Path(max_length=63, examples=["bench-5f0c1d2e3a4b"])]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Limit = Annotated[int, Query(ge=1, le=MAX_JOBS)]


class BenchIn(BaseModel):
    """Which bundle is timed on which devices, and how."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    bundle: str | None = Field(None, pattern=DIGEST, examples=[EXAMPLE])
    model: Name | None = Field(None, description="With `version`, instead of `bundle`.")
    version: Annotated[int, Field(ge=0, le=2**31)] | Name | None = None
    devices: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_NAMED)] | None = None
    text: Annotated[str, Field(max_length=63)] | None = Field(
        None, description="Part of the names of devices."
    )
    profile: Name | None = None
    at_most: int | None = Field(
        None, description="Devices that are asked; 3 of a group, all that are named, by default."
    )
    variants: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    threads: int | None = None
    rounds: int = 20
    iterations: int | None = None
    seed: int = 0
    limit_s: float = 900.0
    lifetime_s: float = Field(86_400.0, description="It is not begun on any device later.")
    when: Literal["idle", "now"] = "idle"
    scenario: Literal["single-stream", "multi-stream", "offline", "server", "sensor"] = (
        "single-stream"
    )
    streams: int | None = Field(None, description="Rows at a time, of multi-stream and offline.")
    rate_per_s: float | None = Field(None, description="Rows that come in a second, of a server.")
    period_ms: float | None = Field(None, description="Between rows, of a sensor.")
    deadline_ms: float | None = Field(
        None, description="From when a row comes, of a server or sensor; later answers are misses."
    )
    duration_s: float | None = Field(None, description="That each variant is timed.")
    key: str | None = Field(
        None, min_length=1, max_length=MAX_KEY, description="To ask twice with it is to ask once."
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.bundle is None) == (self.model is None or self.version is None):
            raise ValueError("name a bundle, or a model and a version")
        return self


class WithdrawIn(BaseModel):
    """Why a person takes a job back."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""


class JobOut(BaseModel):
    """A job, how each device stands in it, and what they say of each variant together."""

    job: Job
    devices: tuple[Member, ...]
    spreads: tuple[Spread, ...]


class WantedIn(BaseModel):
    """Which measurements are asked for; what is not given does not matter."""

    model: str | None = Field(None, max_length=100)
    version: int | None = Field(None, ge=0, le=2**31)
    profile: str | None = Field(None, max_length=100)
    bundle: str | None = Field(None, pattern=DIGEST)
    artifact: str | None = Field(
        None, pattern=DIGEST, description="Of its files, the same in every bundle that has them."
    )
    device: str | None = Field(None, max_length=63)
    target: str | None = Field(None, max_length=100, examples=["openvino:int8"])
    after: int = Field(0, ge=0, le=2**31, description=f"`{AFTER}` of the page before.")
    limit: int = Field(100, ge=1, le=MAX_JOBS)


def router(jobs: Jobs, clock: Clock) -> APIRouter:
    """Return the routes of jobs."""
    routes = APIRouter(prefix="/v1", tags=["jobs"])
    _watching(routes, jobs)
    _measured(routes, jobs)
    _acting(routes, jobs, clock)
    return routes


def _watching(routes: APIRouter, jobs: Jobs) -> None:
    @routes.get("/jobs", responses=refusals())
    def list_jobs(
        actor: Viewer,
        active: bool | None = None,
        bundle: Annotated[str | None, Query(pattern=DIGEST)] = None,
        limit: Limit = 100,
    ) -> list[Job]:
        """List jobs, the newest first."""
        return list(jobs.list(active=active, bundle=bundle, limit=limit, tenant=actor.tenant))

    @routes.get("/jobs/{job}", responses=refusals(404))
    def show(actor: Viewer, job: JobId) -> JobOut:
        """Show a job, how each device stands in it, and how far their medians are apart."""
        found = jobs.get(job, tenant=actor.tenant)
        return JobOut(
            job=found,
            devices=jobs.members(job, tenant=actor.tenant),
            spreads=spreads(jobs.figures(job, tenant=actor.tenant)),
        )


def _measured(routes: APIRouter, jobs: Jobs) -> None:
    lines: Responses = {200: {"content": {LINES: {"schema": {"type": "string"}}}}}

    @routes.get(
        "/jobs/{job}/results", response_class=Response, responses={**lines, **refusals(404)}
    )
    def results(actor: Viewer, job: JobId) -> Response:
        """Return what devices measured: a canonical `BenchResult` a line."""
        return _lines(jobs.measured(job, tenant=actor.tenant))

    @routes.get("/measurements", response_class=Response, responses={**lines, **refusals()})
    def measurements(actor: Viewer, wanted: Annotated[WantedIn, Query()]) -> Response:
        """Return measurements of all jobs, the oldest first: a canonical `BenchResult` a line."""
        found = jobs.measurements(
            Wanted(**wanted.model_dump(exclude={"after", "limit"})),
            after=wanted.after,
            limit=wanted.limit,
            tenant=actor.tenant,
        )
        answer = _lines(found)
        if len(found) == wanted.limit:
            answer.headers[AFTER] = str(found[-1].number)
        return answer


def _acting(routes: APIRouter, jobs: Jobs, clock: Clock) -> None:
    @routes.post("/jobs/bench", status_code=201, responses=refusals(404, 409))
    def bench(actor: Operator, body: BenchIn) -> Job:
        """Ask devices to time the variants of a bundle; they are told at once."""
        meant = Selection(devices=body.devices, text=body.text, profile=body.profile)
        is_open = meant == Selection()
        bundle = body.bundle or jobs.bundle_of(
            body.model or "", body.version or 0, meant, tenant=actor.tenant
        )
        return jobs.bench(
            bundle,
            by=actor.name,
            now=clock(),
            selection=None if is_open else meant,
            terms=_terms(body),
            key=body.key,
            tenant=actor.tenant,
        )

    @routes.post("/jobs/{job}/withdraw", responses=refusals(404, 409))
    def withdraw(actor: Operator, job: JobId, body: WithdrawIn) -> Job:
        """Take a job back: devices that were told are told to stop."""
        return jobs.withdraw(
            job, by=actor.name, now=clock(), reason=body.reason, tenant=actor.tenant
        )


def _terms(body: BenchIn) -> Terms:
    return Terms(
        variants=body.variants,
        threads=body.threads,
        rounds=body.rounds,
        iterations=body.iterations,
        seed=body.seed,
        limit_s=body.limit_s,
        lifetime_s=body.lifetime_s,
        when=body.when,
        devices=body.at_most,
        scenario=body.scenario,
        streams=body.streams,
        rate_per_s=body.rate_per_s,
        period_ms=body.period_ms,
        deadline_ms=body.deadline_ms,
        duration_s=body.duration_s,
    )


def _lines(measured: Iterable[Measured]) -> Response:
    text = "".join(f"{one.document}\n" for one in measured)
    return Response(text, media_type=LINES)
