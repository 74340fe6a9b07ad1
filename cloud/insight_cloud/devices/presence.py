# SPDX-License-Identifier: Apache-2.0
"""What devices say of themselves, taken down inside a transaction of the service's.

Births, deaths and states are told again by whoever sends them, so what cannot be
read is left out and said to the caller: it is not kept.
"""

import math
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, update
from sqlalchemy.orm import Session

from insight_cloud.devices.device import Heard
from insight_cloud.devices.rules import (
    MAX_DEPLOYMENTS,
    MAX_REVISION,
    is_behind,
    supersedes,
)
from insight_cloud.devices.tables import DeploymentRow, DeviceRow
from insight_cloud.devices.timeline import EventKind, News, news, one_line
from insight_cloud.devices.writing import record
from insight_cloud.platform.blobs import DIGEST
from insight_edge.documents.codec import decode_json, decode_wire, encode_json
from insight_edge.documents.device import Birth, Death, Reported
from insight_edge.documents.topics import Kind, Topic, check_name
from insight_edge.errors import DocumentError, LimitExceededError, WrongDeviceError

MAX_STATE_BYTES = 128 * 1024
"""Of a state or the facts of a device as they are kept."""

MAX_SESSION_LENGTH = 100
MAX_ENDED = 8
"""Sessions whose death came while another was open, or before their own birth."""

SOON = timedelta(seconds=10)
"""`last_seen` is written again no earlier for reports and the like."""


def hear(session: Session, topic: Topic, payload: bytes, now: datetime) -> Heard:
    """Take down one message of a device.

    Raises:
        DocumentError: it is malformed.
        WrongDeviceError: it speaks of another device than its topic.
        ValueError: it is no birth, death or state.
    """
    row = session.get(DeviceRow, (topic.tenant, topic.device))
    if row is None or row.retired is not None:
        return Heard(fault=f"'{topic.device}' is no device of this fleet")
    if topic.kind is Kind.BIRTH:
        return _born(session, row, decode_wire(Birth, payload), now)
    if topic.kind is Kind.DEATH:
        return _died(session, row, decode_wire(Death, payload), now)
    if topic.kind is Kind.REPORTED:
        return _told(session, row, decode_wire(Reported, payload), now)
    raise ValueError(f"{topic} is none of what a device says of itself")


def saw(session: Session, devices: Collection[tuple[str, str]], now: datetime) -> None:
    """Note that devices, by tenant and name, have said something."""
    stale = or_(DeviceRow.last_seen.is_(None), DeviceRow.last_seen <= now - SOON)
    for tenant in {tenant for tenant, _ in devices}:
        names = [name for owner, name in devices if owner == tenant]
        chosen = (DeviceRow.tenant == tenant, DeviceRow.name.in_(names), stale)
        session.execute(update(DeviceRow).where(*chosen).values(last_seen=now))


def _born(session: Session, row: DeviceRow, birth: Birth, now: datetime) -> Heard:
    _refuse_stranger(row, birth.device, birth.tenant)
    _check_session(birth.session)
    if not math.isfinite(birth.at_s):
        raise DocumentError("birth: its time is no number")
    facts = _kept(encode_json(birth.facts))
    owed = row.desired if is_behind(row.desired, row.accepted) else None
    row.last_seen = now
    if birth.session in row.ended or (birth.session, birth.at_s) == (row.session, row.birth_s):
        return Heard(owed=owed)
    row.session, row.online, row.told = birth.session, True, False
    row.born, row.birth_s = now, birth.at_s
    row.agent, row.facts = one_line(birth.agent), facts
    text = f"born with agent {row.agent}"
    if birth.profile != row.profile:
        text = one_line(f"{text}, says it is {birth.profile}")
    record(session, row, [News(kind=EventKind.BORN, text=text)], now)
    return Heard(owed=owed)


def _died(session: Session, row: DeviceRow, death: Death, now: datetime) -> Heard:
    _refuse_stranger(row, death.device, row.tenant)
    _check_session(death.session)
    if death.session != row.session:
        row.ended = [*(s for s in row.ended if s != death.session), death.session][-MAX_ENDED:]
        return Heard()
    if not row.online:
        return Heard()
    row.online, row.last_seen = False, now
    record(session, row, [News(kind=EventKind.DIED, text=death.reason)], now)
    return Heard()


def _told(session: Session, row: DeviceRow, state: Reported, now: datetime) -> Heard:
    _refuse_stranger(row, state.device, state.tenant)
    kept = _kept(encode_json(state))
    if not 0 <= state.revision <= MAX_REVISION or len(state.deployments) > MAX_DEPLOYMENTS:
        raise LimitExceededError("state: a revision or so many deployments there cannot be")
    for name in state.deployments:
        check_name("deployment", name)
    row.last_seen = now
    before = None if row.reported is None else decode_json(Reported, row.reported.encode())
    if not supersedes(state, before, born_since=not row.told):
        return Heard(fault="overtaken by a later state")
    row.reported, row.told = kept, True
    row.held, row.accepted = state.held, state.revision
    _keep_deployments(session, row, state)
    record(session, row, news(before, state), now)
    forgot = before is not None and state.revision < before.revision
    return Heard(owed=row.desired if forgot and is_behind(row.desired, row.accepted) else None)


def _keep_deployments(session: Session, row: DeviceRow, state: Reported) -> None:
    session.execute(
        delete(DeploymentRow).where(
            DeploymentRow.tenant == row.tenant,
            DeploymentRow.device == row.name,
            DeploymentRow.deployment.not_in(state.deployments),
        )
    )
    for name, deployment in state.deployments.items():
        session.merge(
            DeploymentRow(
                tenant=row.tenant,
                device=row.name,
                deployment=name,
                phase=deployment.phase,
                serving=_digest(deployment.serving),
                committed=_digest(deployment.committed),
                attached=deployment.attached,
            )
        )


def _refuse_stranger(row: DeviceRow, device: str, tenant: str) -> None:
    if (tenant, device) != (row.tenant, row.name):
        raise WrongDeviceError(f"'{row.name}' speaks of '{device[:63]}'")


def _check_session(session: str) -> None:
    if not (1 <= len(session) <= MAX_SESSION_LENGTH and session.isprintable()):
        raise LimitExceededError(f"a session has 1 to {MAX_SESSION_LENGTH} printable characters")


def _digest(text: str | None) -> str | None:
    """Return a digest that devices are looked up by, None for what is none."""
    return text if text is not None and DIGEST.fullmatch(text) else None


def _kept(document: bytes) -> str:
    if len(document) > MAX_STATE_BYTES:
        raise LimitExceededError(f"{len(document)} bytes, at most {MAX_STATE_BYTES} are kept")
    return document.decode()
