# SPDX-License-Identifier: Apache-2.0
"""Telemetry over HTTP: what devices count and keep, and what other systems have learnt."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.platform.answers import refusals
from insight_cloud.telemetry.challenges import Challenged
from insight_cloud.telemetry.learning import Learnt
from insight_cloud.telemetry.rollups import Slot
from insight_cloud.telemetry.rules import HOUR_S
from insight_cloud.telemetry.samples import Sample, SampleState
from insight_cloud.telemetry.service import Telemetry
from insight_cloud.telemetry.totals import Totals
from insight_edge.errors import DocumentError

MAX_OUTCOMES = 10_000
"""In one call."""

MAX_HOURS = 31 * 24
MAX_HOURS_OF_ALL = 48
"""Of all devices and bundles together."""

DIGEST = r"^sha256:[0-9a-f]{64}$"
Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
Bundle = Annotated[str | None, Query(pattern=DIGEST, description="Digest of a bundle.")]
Device = Annotated[str | None, Query(max_length=63, description="Name of a device.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class Window(BaseModel):
    """Which hours are asked for, and of what."""

    since: datetime | None = Field(None, description="A day before `until` without.")
    until: datetime | None = Field(None, description="Now without.")
    bundle: str | None = Field(None, pattern=DIGEST)
    device: str | None = Field(None, max_length=63)
    deployment: str | None = Field(None, max_length=63)
    offset: int = Field(0, ge=0, lt=2**53)
    limit: int = Field(100, ge=1, le=1000)


class CountsOut(BaseModel):
    """What happened to calls."""

    model_config = ConfigDict(from_attributes=True)

    asked: int
    answered: int
    failed: int
    observed: int
    flagged: int
    broken: int


class LatencyOut(BaseModel):
    """How long calls took; null without any."""

    count: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class TotalsOut(BaseModel):
    """All that was reported in one hour of a deployment with one bundle."""

    device: str
    deployment: str
    bundle: str
    hour: datetime = Field(description="When it began.")
    reports: int
    counts: CountsOut
    latency: LatencyOut


class HoursOut(BaseModel):
    """A page of hours, by device, deployment, bundle and time."""

    totals: list[TotalsOut]
    total: int
    offset: int | None = Field(description="Where the next page begins; null on the last.")


class WindowOut(BaseModel):
    """One report; by the device's clock where it is not said otherwise."""

    boot: int
    sequence: int
    bundle: str
    opened: datetime | None
    closed: datetime | None
    arrived: datetime = Field(description="By the cloud's clock.")
    counts: CountsOut
    p99_ms: float | None


class DisagreementOut(BaseModel):
    """How often a challenger answered otherwise than one bundle that served."""

    model_config = ConfigDict(from_attributes=True)

    against: str
    rows: int
    differing: int
    odd: int = Field(description="Where one gave a number and the other NaN or infinity.")


class ChallengedOut(BaseModel):
    """What one bundle did as a challenger on one deployment, all its reports together."""

    device: str
    deployment: str
    bundle: str
    changed: datetime = Field(description="When its latest report came.")
    compared: int = Field(description="Calls that it repeated.")
    dropped: int = Field(description="Calls that there was no room or time to repeat.")
    failed: int
    share: float = Field(description="Of calls with a key, that it answers itself.")
    keyed_served: int
    keyed_challenged: int
    fell_back: int
    disagreements: list[DisagreementOut]


class SampleOut(BaseModel):
    """An input that a device kept."""

    device: str
    deployment: str
    digest: str
    result: str
    bundle: str
    length_bytes: int
    reason: str
    score: float
    outputs: Any
    at_s: float
    state: SampleState


class QuarantinedOut(BaseModel):
    """A message that was not believed."""

    model_config = ConfigDict(from_attributes=True)

    device: str
    kind: str
    digest: str
    fault: str
    reason: str
    arrived_s: float
    length_bytes: int


class JoinedOut(BaseModel):
    """The sampled results of one hour, by how they turned out."""

    hour: datetime
    predictions: int = Field(description="Results that were sampled.")
    outcomes: int = Field(description="Of these, known by now how they turned out.")
    judged: int = Field(description="Of these, both sides name a class.")
    correct: int


class OutcomeIn(BaseModel):
    """What turned out to be true of one result, named by its id or by your own key."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"id": "camera-7/default/12/345", "label": "3"},
                {"device": "camera-7", "deployment": "default", "key": "order-1", "label": 3},
            ]
        },
    )

    id: str | None = Field(None, max_length=256)
    device: str | None = Field(None, max_length=63)
    deployment: str | None = Field(None, max_length=63)
    key: str | None = Field(None, max_length=256, description="That was passed to `infer`.")
    label: (
        Annotated[StrictInt, Field(gt=-(2**53), lt=2**53)]
        | StrictFloat
        | Annotated[StrictStr, Field(max_length=200)]
    ) = Field(description="Class index, class name or number.")
    at: datetime | None = Field(None, description="When it was known; now without.")
    source: str | None = Field(None, max_length=200, description="Who says so; you without.")


class OutcomesIn(BaseModel):
    """Outcomes, however late and in whatever order."""

    model_config = ConfigDict(extra="forbid")

    outcomes: list[OutcomeIn] = Field(max_length=MAX_OUTCOMES)


class RefusedOut(BaseModel):
    """An outcome that was not taken."""

    place: int = Field(description="In the call, from 0.")
    reason: str


class TakenOut(BaseModel):
    """What became of a call's outcomes."""

    taken: int
    known: int = Field(description="That change nothing.")
    refused: list[RefusedOut]


def router(telemetry: Telemetry, clock: Callable[[], datetime]) -> APIRouter:
    """Return the routes."""
    made = APIRouter(prefix="/v1", tags=["telemetry"])
    _add_counting(made, telemetry, clock)
    _add_challenges(made, telemetry)
    _add_keeping(made, telemetry)
    _add_outcomes(made, telemetry, clock)
    return made


def _add_counting(made: APIRouter, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
    @made.get("/telemetry/totals", responses=refusals())
    def totals(actor: Viewer, asked: Annotated[Window, Query()]) -> HoursOut:
        """Return exact totals by hour: of 31 days, or of 48 hours of the whole fleet."""
        since, until = _bounds(asked, clock())
        found = telemetry.totals(
            since=since,
            until=until,
            bundle=asked.bundle,
            device=asked.device,
            deployment=asked.deployment,
            tenant=actor.tenant,
        )
        end = asked.offset + asked.limit
        shown = [_hour(slot, found[slot]) for slot in sorted(found)[asked.offset : end]]
        return HoursOut(totals=shown, total=len(found), offset=end if end < len(found) else None)

    @made.get("/telemetry/windows", responses=refusals())
    def windows(
        actor: Viewer,
        device: Annotated[str, Query(max_length=63)],
        deployment: Annotated[str, Query(max_length=63)] = "default",
        limit: Limit = 100,
    ) -> list[WindowOut]:
        """Return the latest reports of a deployment, the newest first."""
        found = telemetry.windows(device, deployment, limit=limit, tenant=actor.tenant)
        return [
            WindowOut(
                boot=one.boot,
                sequence=one.sequence,
                bundle=one.bundle,
                opened=_moment(one.opened_s),
                closed=_moment(one.closed_s),
                arrived=datetime.fromtimestamp(one.arrived_s, UTC),
                counts=CountsOut.model_validate(one.counts),
                p99_ms=None if one.p99_ns is None else one.p99_ns / 1e6,
            )
            for one in found
        ]


def _add_challenges(made: APIRouter, telemetry: Telemetry) -> None:
    @made.get("/telemetry/challenges", responses=refusals())
    def challenges(
        actor: Viewer, device: Device = None, bundle: Bundle = None
    ) -> list[ChallengedOut]:
        """Return what challengers did on each deployment, the latest first."""
        found = telemetry.challenged(device=device, bundle=bundle, tenant=actor.tenant)
        return [_challenged(one) for one in found]


def _challenged(one: Challenged) -> ChallengedOut:
    told = one.told
    return ChallengedOut(
        device=one.device,
        deployment=one.deployment,
        bundle=one.bundle,
        changed=datetime.fromtimestamp(one.changed_s, UTC),
        compared=told.compared,
        dropped=told.dropped,
        failed=told.failed,
        share=told.share,
        keyed_served=told.keyed_served,
        keyed_challenged=told.keyed_challenged,
        fell_back=told.fell_back,
        disagreements=[DisagreementOut.model_validate(part) for part in told.disagreements],
    )


def _add_keeping(made: APIRouter, telemetry: Telemetry) -> None:
    @made.get("/telemetry/samples", responses=refusals())
    def samples(
        actor: Viewer,
        state: SampleState = SampleState.OFFERED,
        bundle: Bundle = None,
        device: Device = None,
        limit: Limit = 100,
    ) -> list[SampleOut]:
        """Return the samples in a state, the newest first."""
        found = telemetry.samples(
            state, bundle=bundle, device=device, limit=limit, tenant=actor.tenant
        )
        return [_sample(one) for one in found]

    @made.get("/telemetry/quarantine", responses=refusals())
    def quarantine(
        actor: Viewer, device: Device = None, limit: Limit = 100
    ) -> list[QuarantinedOut]:
        """Return the messages that were not believed, the newest first."""
        found = telemetry.quarantined(device=device, limit=limit, tenant=actor.tenant)
        return [QuarantinedOut.model_validate(one) for one in found]


def _add_outcomes(made: APIRouter, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
    @made.get("/telemetry/joined", responses=refusals())
    def joined(
        actor: Viewer,
        bundle: Annotated[str, Query(pattern=DIGEST)],
        since: Annotated[datetime | None, Query(description="A week ago without.")] = None,
    ) -> list[JoinedOut]:
        """Return by hour how the sampled results of a bundle turned out."""
        start = clock() - timedelta(days=7) if since is None else _zoned(since)
        return [
            JoinedOut.model_validate(asdict(one) | {"hour": _hour_start(one.hour)})
            for one in telemetry.joined(bundle, start, tenant=actor.tenant)
        ]

    @made.post("/outcomes", responses=refusals(413))
    def outcomes(actor: Operator, given: OutcomesIn) -> TakenOut:
        """Tell what turned out to be true; the latest about a result counts."""
        now = clock()
        learnt = [_learnt(one, now, actor.name) for one in given.outcomes]
        done = telemetry.take_outcomes(learnt, by=actor.name, now=now, tenant=actor.tenant)
        refused = [RefusedOut(place=place, reason=reason) for place, reason in done.refused]
        return TakenOut(taken=done.taken, known=done.known, refused=refused)


def _learnt(given: OutcomeIn, now: datetime, by: str) -> Learnt:
    at = now if given.at is None else _zoned(given.at)
    return Learnt(
        id=given.id,
        device=given.device,
        deployment=given.deployment,
        key=given.key,
        label=given.label,
        at_s=at.timestamp(),
        source=given.source or by,
    )


def _bounds(asked: Window, now: datetime) -> tuple[datetime, datetime]:
    until = now if asked.until is None else _zoned(asked.until)
    try:
        since = until - timedelta(days=1) if asked.since is None else _zoned(asked.since)
        hours = (until - since) / timedelta(hours=1)
    except OverflowError as error:
        raise DocumentError("these are no hours of ours") from error
    most = MAX_HOURS if asked.device or asked.bundle else MAX_HOURS_OF_ALL
    if not 0 <= hours <= most:
        raise DocumentError(
            f"from 0 to {most} hours can be asked for at once, not {hours:.0f}",
            hint=f"{MAX_HOURS} of one device or bundle, {MAX_HOURS_OF_ALL} of all",
        )
    return since, until


def _zoned(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _moment(at_s: float) -> datetime | None:
    """Return when a device says it was; None where no calendar has it."""
    try:
        return datetime.fromtimestamp(at_s, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _hour_start(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_S, UTC)


def _hour(slot: Slot, totals: Totals) -> TotalsOut:
    latency = totals.latency
    some = latency.count > 0
    return TotalsOut(
        device=slot.device,
        deployment=slot.deployment,
        bundle=slot.bundle,
        hour=_hour_start(slot.hour),
        reports=totals.reports,
        counts=CountsOut.model_validate(totals.counts),
        latency=LatencyOut(
            count=latency.count,
            p50_ms=latency.quantile(0.5) / 1e6 if some else None,
            p99_ms=latency.quantile(0.99) / 1e6 if some else None,
            max_ms=latency.max_ns / 1e6 if some else None,
        ),
    )


def _sample(sample: Sample) -> SampleOut:
    return SampleOut(**asdict(sample) | {"outputs": msgspec.json.decode(sample.outputs)})
