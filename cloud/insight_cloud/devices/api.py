# SPDX-License-Identifier: Apache-2.0
"""Devices over HTTP, for operators: look, invite, say what runs, retire.

What devices themselves ask is in `app.device_door`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.devices.device import DesiredState
from insight_cloud.devices.device import Query as Asked
from insight_cloud.devices.looking import MAX_PAGE
from insight_cloud.devices.service import Devices
from insight_cloud.devices.timeline import MAX_EVENTS, Event, EventKind
from insight_cloud.platform.answers import refusals
from insight_edge.documents.codec import to_plain
from insight_edge.documents.desired import Assignment, Challenging
from insight_edge.documents.device import Phase, Reported

MAX_INVITED_HOURS = 24 * 30
DIGEST = r"^sha256:[0-9a-f]{64}$"
EXAMPLE = "sha256:" + "5f" * 32

Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
DeviceName = Annotated[str, Path(max_length=63, examples=["camera-7"])]
DeploymentName = Annotated[str, Path(max_length=63, examples=["default"])]
WhyNot = Callable[[str, str, str], str | None]
Clock = Callable[[], datetime]


class Filters(BaseModel):
    """Which devices are asked for; what is not given does not matter."""

    text: str | None = Field(None, max_length=63, description="Part of the name.")
    profile: str | None = Field(None, max_length=100)
    online: bool | None = None
    held: bool | None = None
    serving: str | None = Field(
        None, pattern=DIGEST, description="Digest of a bundle that a deployment serves."
    )
    behind: bool | None = Field(None, description="It has not accepted what it should run.")
    retired: bool = Field(False, description="Those that left the fleet, and no others.")
    after: str | None = Field(None, max_length=63, description="`after` of the page before.")
    limit: int = Field(100, ge=1, le=MAX_PAGE)


class DeviceOut(BaseModel):
    """A device as it is known; moments are by the cloud's clock."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    profile: str = Field(description="The hardware profile it was enrolled for.")
    deployments: list[str]
    enrolled: datetime
    retired: datetime | None
    agent: str | None = Field(description="Version of its agent.")
    online: bool
    born: datetime | None = Field(description="When it connected last.")
    last_seen: datetime | None
    ahead_s: float | None = Field(description="By how much its clock was ahead.")
    held: bool = Field(description="Its owner has stopped updates.")
    accepted: int = Field(description="Revision that it runs by.")
    desired: int = Field(description="Revision that it should run by.")


class DevicesOut(BaseModel):
    """A page of devices in the order of their names."""

    devices: list[DeviceOut]
    total: int = Field(description="How many match, on all pages.")
    after: str | None = Field(description="Where the next page begins; null on the last.")


class AssignmentIn(BaseModel):
    """What a deployment should run."""

    model_config = ConfigDict(extra="forbid")

    bundle: str = Field(pattern=DIGEST, examples=[EXAMPLE])
    role: Literal["serve", "challenger"] = "serve"
    share: float = Field(1.0, ge=0, le=1, description="Of requests that a challenger sees.")


class ChallengerIn(BaseModel):
    """What is compared with the bundle that a deployment serves."""

    model_config = ConfigDict(extra="forbid")

    bundle: str = Field(pattern=DIGEST, examples=[EXAMPLE])
    cpu_share: float = Field(
        0.05, ge=0, le=1, description="Of one processor, that repeating calls may take."
    )
    share: float = Field(
        0.0, ge=0, le=1, description="Of calls with a key, that it answers itself."
    )
    salt: str = Field("", max_length=256, description="Draws these keys; another one, others.")


class ChallengerOut(BaseModel):
    """What is compared with the bundle that a deployment serves."""

    model_config = ConfigDict(from_attributes=True)

    bundle: str
    cpu_share: float
    share: float
    salt: str


class AssignmentOut(BaseModel):
    """What a deployment should run."""

    model_config = ConfigDict(from_attributes=True)

    bundle: str
    role: str
    share: float
    challenger: ChallengerOut | None = None


class DesiredOut(BaseModel):
    """What a device should run."""

    revision: int
    by: str
    at: datetime
    deployments: dict[str, AssignmentOut]


class DeploymentOut(BaseModel):
    """How one deployment stands."""

    name: str
    wanted: str | None = Field(description="Digest of the bundle that it should run.")
    serving: str | None = Field(description="Of the one that answers.")
    committed: str | None = Field(description="Of the one that is served after a restart.")
    phase: Phase | None = Field(description="Of an update; null before the device told.")
    why_not_updated: str | None = Field(description="One sentence; null where it is.")


class DeviceDetail(DeviceOut):
    """A device with what it says of itself and what it should run."""

    standing: list[DeploymentOut]
    wanted: DesiredOut | None = Field(description="What it should run.")
    facts: dict[str, Any] = Field(description="What it says of its machine.")
    reported: dict[str, Any] | None = Field(description="The last state that it told.")


class EventOut(BaseModel):
    """One thing that happened to a device."""

    number: int
    at: datetime
    kind: EventKind
    text: str
    deployment: str | None
    bundle: str | None


class InvitationIn(BaseModel):
    """Whom to invite."""

    model_config = ConfigDict(extra="forbid")

    device: str | None = Field(
        None, max_length=63, description="The device chooses a name without.", examples=["camera-7"]
    )
    hours: float = Field(24.0, gt=0, le=MAX_INVITED_HOURS, description="How long it works.")


class InvitationOut(BaseModel):
    """A token that makes one device; shown here and never again."""

    token: str
    expires: datetime


class RevisionOut(BaseModel):
    """The revision that a device should run by now; null where nothing is assigned."""

    revision: int | None


def router(
    devices: Devices,
    clock: Clock,
    *,
    why_not: WhyNot | None = None,
    check_bundle: Callable[[str], None] = lambda _: None,
) -> APIRouter:
    """Return the routes.

    Args:
        devices: the domain.
        clock: returns the time.
        why_not: says of device, deployment and tenant why it does not run what it should; asked
            of the devices alone where there is nobody who knows of releases.
        check_bundle: raises where a bundle, by its digest, cannot be assigned.
    """
    made = APIRouter(prefix="/v1", tags=["devices"])
    _add_looking(made, devices, why_not or _alone(devices))
    _add_assigning(made, devices, clock, check_bundle)
    _add_joining(made, devices, clock)
    return made


def _add_looking(made: APIRouter, devices: Devices, why_not: WhyNot) -> None:
    @made.get("/devices", responses=refusals())
    def list_devices(actor: Viewer, wanted: Annotated[Filters, Query()]) -> DevicesOut:
        """List devices in the order of their names."""
        query = Asked(**wanted.model_dump(exclude={"after", "limit"}))
        page = devices.devices(query, after=wanted.after, limit=wanted.limit, tenant=actor.tenant)
        found = [DeviceOut.model_validate(one) for one in page.devices]
        return DevicesOut(devices=found, total=page.total, after=page.after)

    @made.get("/devices/{device}", responses=refusals(404))
    def device(actor: Viewer, device: DeviceName) -> DeviceDetail:
        """Return a device, and of each deployment why it does not run what it should."""
        tenant = actor.tenant
        known = devices.device(device, tenant=tenant)
        wanted, told = (
            devices.desired(device, tenant=tenant),
            devices.reported(device, tenant=tenant),
        )
        names = dict.fromkeys([*known.deployments, *(wanted.deployments if wanted else ())])
        facts = to_plain(devices.facts(device, tenant=tenant))
        return DeviceDetail(
            **DeviceOut.model_validate(known).model_dump(),
            standing=[_standing(n, wanted, told, why_not(device, n, tenant)) for n in names],
            wanted=None if wanted is None else _desired(wanted),
            facts=facts,
            reported=None if told is None else to_plain(told),
        )

    @made.get("/devices/{device}/timeline", responses=refusals(404))
    def timeline(
        actor: Viewer,
        device: DeviceName,
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 50,
    ) -> list[EventOut]:
        """Return the last things that happened to a device, the newest first."""
        return [_event(one) for one in devices.timeline(device, limit=limit, tenant=actor.tenant)]


def _add_assigning(
    made: APIRouter, devices: Devices, clock: Clock, check_bundle: Callable[[str], None]
) -> None:
    @made.put("/devices/{device}/deployments/{deployment}", responses=refusals(404, 409))
    def assign(
        actor: Operator, device: DeviceName, deployment: DeploymentName, wanted: AssignmentIn
    ) -> RevisionOut:
        """Say which bundle a deployment should run; the device is let known at once."""
        check_bundle(wanted.bundle)
        revision = devices.set_desired(
            device,
            deployment,
            Assignment(bundle=wanted.bundle, role=wanted.role, share=wanted.share),
            by=actor.name,
            now=clock(),
            tenant=actor.tenant,
        )
        return RevisionOut(revision=revision)

    challenged = "/devices/{device}/deployments/{deployment}/challenger"

    @made.put(challenged, responses=refusals(404, 409))
    def challenge(
        actor: Operator, device: DeviceName, deployment: DeploymentName, wanted: ChallengerIn
    ) -> RevisionOut:
        """Have a bundle compared, on the device, with the one that a deployment serves."""
        check_bundle(wanted.bundle)
        challenger = Challenging(**wanted.model_dump())
        revision = devices.set_challenger(
            device, deployment, challenger, by=actor.name, now=clock(), tenant=actor.tenant
        )
        return RevisionOut(revision=revision)

    @made.delete(challenged, responses=refusals(404, 409))
    def unchallenge(actor: Operator, device: DeviceName, deployment: DeploymentName) -> RevisionOut:
        """End the comparison; its last report still comes."""
        revision = devices.set_challenger(
            device, deployment, None, by=actor.name, now=clock(), tenant=actor.tenant
        )
        return RevisionOut(revision=revision)

    @made.post("/devices/{device}/renew", responses=refusals(404, 409))
    def renew(actor: Operator, device: DeviceName) -> RevisionOut:
        """Let a device try again what it refused: the same content with a new revision."""
        revision = devices.renew_desired(device, by=actor.name, now=clock(), tenant=actor.tenant)
        return RevisionOut(revision=revision)


def _add_joining(made: APIRouter, devices: Devices, clock: Clock) -> None:
    @made.post("/invitations", status_code=201, responses=refusals())
    def invite(actor: Operator, asked: InvitationIn) -> InvitationOut:
        """Make a token; whoever shows it becomes a device, once."""
        now = clock()
        expires = now + timedelta(hours=asked.hours)
        token = devices.invite(
            asked.device, by=actor.name, expires=expires, now=now, tenant=actor.tenant
        )
        return InvitationOut(token=token, expires=expires)

    @made.post("/devices/{device}/retire", status_code=204, responses=refusals(404))
    def retire(actor: Operator, device: DeviceName) -> None:
        """Take a device out of the fleet for ever: its secret is void, its name stays taken."""
        devices.retire_device(device, by=actor.name, now=clock(), tenant=actor.tenant)


def _alone(devices: Devices) -> WhyNot:
    return lambda device, deployment, tenant: devices.not_updated_reason(
        device, deployment, tenant=tenant
    )


def _standing(
    name: str, wanted: DesiredState | None, told: Reported | None, why_not: str | None
) -> DeploymentOut:
    assigned = None if wanted is None else wanted.deployments.get(name)
    state = None if told is None else told.deployments.get(name)
    return DeploymentOut(
        name=name,
        wanted=None if assigned is None else assigned.bundle,
        serving=None if state is None else state.serving,
        committed=None if state is None else state.committed,
        phase=None if state is None else state.phase,
        why_not_updated=why_not,
    )


def _desired(state: DesiredState) -> DesiredOut:
    deployments = {
        name: AssignmentOut.model_validate(one) for name, one in state.deployments.items()
    }
    return DesiredOut(revision=state.revision, by=state.by, at=state.at, deployments=deployments)


def _event(event: Event) -> EventOut:
    news = event.news
    return EventOut(
        number=event.number,
        at=event.at,
        kind=news.kind,
        text=news.text,
        deployment=news.deployment,
        bundle=news.bundle,
    )
