# SPDX-License-Identifier: Apache-2.0
"""The use cases of devices, one transaction each.

It connects to nothing: whoever listens to the broker hands messages over, and
whoever publishes asks what a device should run.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from insight_cloud.accounts.audit import note
from insight_cloud.devices import assignment, enrolment, looking, presence, writing
from insight_cloud.devices.device import DesiredState, Device, Enrolled, Heard, Page, Query
from insight_cloud.devices.looking import (
    device_from_row,
    find,
    find_active,
    reported_from_row,
)
from insight_cloud.devices.rules import Profiles
from insight_cloud.devices.timeline import MAX_EVENTS, Event, EventKind, News, one_line
from insight_cloud.devices.whynot import Standing, why_not_updated
from insight_cloud.platform.database import Database
from insight_cloud.platform.errors import ConflictError, NotFoundError
from insight_cloud.platform.schema import TENANT
from insight_edge.documents.codec import decode_json
from insight_edge.documents.desired import Assignment, Challenging
from insight_edge.documents.device import Reported
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import HardwareProfile, mismatch
from insight_edge.documents.topics import Topic, check_name
from insight_edge.errors import ConfigurationError, InsightEdgeError


class Devices:
    """The devices of all fleets in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def invite(
        self,
        device: str | None,
        *,
        by: str,
        expires: datetime,
        now: datetime,
        tenant: str = TENANT,
    ) -> str:
        """Return a new token; it makes one device, of this name where there is one.

        Raises:
            ConfigurationError: it would have expired already.
            DocumentError: the name is none.
        """
        if expires <= now:
            raise ConfigurationError("an invitation cannot expire before it is made")
        if device is not None:
            check_name("device", device)
        with self._database.write() as session:
            note(
                session,
                by=by,
                action="device.invite",
                subject=device or "",
                now=now,
                detail=f"until {expires:%Y-%m-%d %H:%M} UTC",
                tenant=tenant,
            )
            return enrolment.add_invitation(
                session, tenant, device, by=by, expires=expires, now=now
            )

    def enrol(self, request: EnrolmentRequest, *, profiles: Profiles, now: datetime) -> Enrolled:
        """Make the device that a request asks for.

        Args:
            request: with the token of an invitation.
            profiles: the hardware profiles there are, by id.
            now: when.

        Raises:
            EnrolmentError: the token, the name or the hardware is refused; nothing was recorded.
        """
        with self._database.write() as session:
            made = enrolment.add_device(session, request, profiles=profiles, now=now)
            note(
                session,
                by=f"device {made.device}",
                action="device.enrol",
                subject=made.device,
                now=now,
                detail=f"as {made.profile}",
                tenant=made.tenant,
            )
            return made

    def authenticate(self, tenant: str, device: str, secret: str) -> Device | None:
        """Return the device if that is its secret; None if not, or if it retired."""
        with self._database.read() as session:
            row = enrolment.row_of_secret(session, secret, tenant=tenant, device=device)
            return None if row is None else device_from_row(row)

    def by_secret(self, secret: str) -> Device | None:
        """Return the device that a secret belongs to; None if none, or if it retired."""
        with self._database.read() as session:
            row = enrolment.row_of_secret(session, secret)
            return None if row is None else device_from_row(row)

    def retire_device(self, device: str, *, by: str, now: datetime, tenant: str = TENANT) -> None:
        """Take a device out of the fleet: its secret is void, its name stays taken.

        Raises:
            NotFoundError: there is no such device.
        """
        with self._database.write() as session:
            row = find(session, tenant, device)
            if row.retired is not None:
                return
            row.retired, row.secret_hash, row.online = now, None, False
            note(session, by=by, action="device.retire", subject=device, now=now, tenant=tenant)
            text = one_line(f"retired by {by}")
            writing.record(session, row, [News(kind=EventKind.RETIRED, text=text)], now)

    def hear(self, messages: Sequence[tuple[Topic, bytes]], now: datetime) -> tuple[Heard, ...]:
        """Take down births, deaths and states in the order of their arrival.

        One that is malformed, or of no device of the fleet, is left out and its fault said.

        Raises:
            ValueError: one is on a topic of another kind.
        """
        heard: list[Heard] = []
        if not messages:
            return ()
        with self._database.write() as session:
            for topic, payload in messages:
                try:
                    heard.append(presence.hear(session, topic, payload, now))
                except InsightEdgeError as error:
                    heard.append(Heard(fault=f"{type(error).__name__}: {error}"))
        return tuple(heard)

    def saw(self, devices: Collection[tuple[str, str]], now: datetime) -> None:
        """Note that devices, by tenant and name, have said something of another kind."""
        if not devices:
            return
        with self._database.write() as session:
            presence.saw(session, devices, now)

    def device(self, device: str, *, tenant: str = TENANT) -> Device:
        """Return a device.

        Raises:
            NotFoundError: there is no such device.
        """
        with self._database.read() as session:
            return device_from_row(find(session, tenant, device))

    def devices(
        self,
        query: Query | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
        tenant: str = TENANT,
    ) -> Page:
        """Return devices after a name, in the order of names, at most `looking.MAX_PAGE`."""
        with self._database.read() as session:
            return looking.page(session, query or Query(), tenant, after, limit)

    def online(self, among: Collection[str], *, tenant: str = TENANT) -> tuple[str, ...]:
        """Return those of some devices that are there, in the order of their names."""
        with self._database.read() as session:
            return looking.online(session, tenant, among)

    def facts(self, device: str, *, tenant: str = TENANT) -> Facts:
        """Return what a device said last of its machine.

        Raises:
            NotFoundError: there is no such device.
        """
        with self._database.read() as session:
            return decode_json(Facts, find(session, tenant, device).facts.encode())

    def reported(self, device: str, *, tenant: str = TENANT) -> Reported | None:
        """Return the last state of a device; None before it told one.

        Raises:
            NotFoundError: there is no such device.
        """
        with self._database.read() as session:
            return reported_from_row(find(session, tenant, device))

    def timeline(
        self, device: str, *, limit: int = MAX_EVENTS, tenant: str = TENANT
    ) -> tuple[Event, ...]:
        """Return the last things that happened to a device, the newest first.

        Raises:
            NotFoundError: there is no such device.
        """
        with self._database.read() as session:
            find(session, tenant, device)
            return writing.events(session, tenant, device, max(0, limit))

    def set_desired(
        self,
        device: str,
        deployment: str,
        wanted: str | Assignment,
        *,
        by: str,
        now: datetime,
        tenant: str = TENANT,
    ) -> int:
        """Assign a bundle, by its digest, to a deployment and return the revision that says so.

        What is assigned already makes no new revision: `renew_desired` does. A challenger that is
        there stays, unless it is what is assigned now.

        Raises:
            NotFoundError: there is no such device.
            ConflictError: it retired.
            DocumentError: the name of the deployment is none.
        """
        check_name("deployment", deployment)
        assigned = Assignment(bundle=wanted) if isinstance(wanted, str) else wanted
        with self._database.write() as session:
            row = find_active(session, tenant, device)
            state = assignment.current(session, row)
            deployments = {} if state is None else dict(state.deployments)
            assigned = assignment.kept_beside(assigned, deployments.get(deployment))
            if state is not None and deployments.get(deployment) == assigned:
                return state.revision
            deployments[deployment] = assigned
            return assignment.assign(session, row, deployments, by=by, now=now)

    def set_challenger(
        self,
        device: str,
        deployment: str,
        wanted: Challenging | None,
        *,
        by: str,
        now: datetime,
        tenant: str = TENANT,
    ) -> int:
        """Have a bundle compared with what a deployment serves, or end that; return the revision.

        What is so already makes no new revision.

        Raises:
            NotFoundError: there is no such device, or nothing is assigned to that deployment.
            ConflictError: it retired, or that bundle is what it should serve.
        """
        with self._database.write() as session:
            row = find_active(session, tenant, device)
            state = assignment.current(session, row)
            served = None if state is None else state.deployments.get(deployment)
            if state is None or served is None:
                raise NotFoundError(
                    f"nothing is assigned to '{deployment}' of {device}",
                    hint="a challenger is compared with a bundle that serves: assign one first",
                )
            if wanted is not None and wanted.bundle == served.bundle:
                raise ConflictError(f"{wanted.bundle[:19]} is what '{deployment}' should serve")
            if served.challenger == wanted:
                return state.revision
            changed = msgspec.structs.replace(served, challenger=wanted)
            action = "device.unchallenge" if wanted is None else "device.challenge"
            deployments = dict(state.deployments) | {deployment: changed}
            return assignment.assign(session, row, deployments, by=by, now=now, action=action)

    def renew_desired(
        self, device: str, *, by: str, now: datetime, tenant: str = TENANT
    ) -> int | None:
        """Return a new revision of the same content, so that a device tries again what it refused.

        It is None where nothing is assigned.

        Raises:
            NotFoundError: there is no such device.
            ConflictError: it retired.
        """
        with self._database.write() as session:
            row = find_active(session, tenant, device)
            state = assignment.current(session, row)
            if state is None:
                return None
            return assignment.assign(session, row, state.deployments, by=by, now=now)

    def desired(self, device: str, *, tenant: str = TENANT) -> DesiredState | None:
        """Return what a device should run; None before anything was assigned.

        Raises:
            NotFoundError: there is no such device.
        """
        with self._database.read() as session:
            return assignment.current(session, find(session, tenant, device))

    def not_updated_reason(
        self,
        device: str,
        deployment: str,
        *,
        profile: HardwareProfile | None = None,
        release_state: str | None = None,
        tenant: str = TENANT,
    ) -> str | None:
        """Return in one sentence why a deployment does not run what it should; None where it does.

        Args:
            device: its name.
            deployment: its name.
            profile: the one the device was enrolled for, to compare it with its facts of today.
            release_state: as `whynot.Standing` has it.
            tenant: whose.

        Raises:
            NotFoundError: there is no such device.
        """
        with self._database.read() as session:
            row = find(session, tenant, device)
            state = assignment.current(session, row)
            facts = decode_json(Facts, row.facts.encode())
            return why_not_updated(
                Standing(
                    deployment=deployment,
                    retired=row.retired,
                    revision=row.desired,
                    wanted=None if state is None else state.deployments.get(deployment),
                    release_state=release_state,
                    mismatch=None if profile is None else mismatch(profile, facts),
                    online=row.online,
                    last_seen=row.last_seen,
                    reported=reported_from_row(row),
                )
            )
