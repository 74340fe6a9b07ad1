# SPDX-License-Identifier: Apache-2.0
"""Devices as the cloud meets them: what they ask, and what they say of themselves."""

from datetime import UTC, datetime, timedelta
from typing import Any

from insight_cloud.devices.device import Enrolled
from insight_cloud.devices.service import Devices
from insight_edge.documents.codec import Versioned, encode_wire
from insight_edge.documents.device import Birth, Death, DeploymentState, Reported
from insight_edge.documents.enrolment import EnrolmentRequest
from insight_edge.documents.facts import Facts
from insight_edge.documents.topics import TENANT, Kind, Topic
from tests.fakes.hardware import profile_of

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
BOX = {"box": profile_of()}
FACTS = Facts(
    arch="x86_64",
    cpu_model="Some CPU",
    isa=("avx", "avx2"),
    cores=2,
    memory_bytes=4 * 2**30,
    os="Linux",
)
BUNDLE = "sha256:" + "b" * 64
OTHER = "sha256:" + "c" * 64

KINDS = {Birth: Kind.BIRTH, Death: Kind.DEATH, Reported: Kind.REPORTED}


def request(token: str, **changes: Any) -> EnrolmentRequest:
    return EnrolmentRequest(**{"token": token, "facts": FACTS, **changes})


def enrol(devices: Devices, name: str = "camera-1", **changes: Any) -> Enrolled:
    """Return a device that was invited and has joined."""
    token = devices.invite(name, by="ann", expires=NOW + timedelta(hours=1), now=NOW)
    return devices.enrol(request(token, **changes), profiles=BOX, now=NOW)


def birth(session: str = "s1", *, device: str = "camera-1", at_s: float = 1.0) -> Birth:
    return Birth(
        tenant=TENANT,
        device=device,
        session=session,
        agent="0.1.0",
        profile="box",
        facts=FACTS,
        at_s=at_s,
    )


def death(session: str = "s1", *, device: str = "camera-1") -> Death:
    return Death(device=device, session=session)


def state(
    revision: int = 0,
    at_s: float = 1.0,
    *,
    device: str = "camera-1",
    deployments: dict[str, DeploymentState] | None = None,
    **changes: Any,
) -> Reported:
    return Reported(
        tenant=TENANT,
        device=device,
        revision=revision,
        at_s=at_s,
        deployments=deployments or {},
        **changes,
    )


def told(*documents: Versioned, device: str = "camera-1") -> list[tuple[Topic, bytes]]:
    """Return what a device says, as it arrives."""
    return [
        (Topic(TENANT, device, KINDS[type(document)]), encode_wire(document))
        for document in documents
    ]
