# SPDX-License-Identifier: Apache-2.0
"""Look at everything in order, what waits for a network at once, and within bounds of time."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from insight_edge.documents.enrolment import Identity
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import HardwareProfile
from insight_edge.fleet.doctor.check import Check
from insight_edge.fleet.doctor.deployed import look_at_deployment
from insight_edge.fleet.doctor.kept import look_at_journal, look_at_outbox
from insight_edge.fleet.doctor.machine import judge_hardware, look_at_agent, look_at_service
from insight_edge.fleet.doctor.place import look_at_directory, look_at_disk, look_at_identity
from insight_edge.fleet.doctor.reach import (
    TIMEOUT_S,
    Answer,
    ask_cloud,
    judge_clock,
    judge_cloud,
    look_at_broker,
)
from insight_edge.fleet.doctor.trusted import expiries, judge_metadata
from insight_edge.fleet.trust.floor import passed_s


def examine(
    state: Path,
    facts: Facts,
    profile: HardwareProfile | None,
    *,
    now_s: float | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[Check, ...]:
    """Return how a device stands, what comes first in the order of what depends on what.

    Args:
        state: directory of the agent.
        facts: of this machine.
        profile: that the device was enrolled for; None where it is not known here.
        now_s: by the device's clock, seconds since the epoch.
        timeout_s: for the cloud, and at the same time for the broker.
    """
    now_s = time.time() if now_s is None else now_s
    known, identity = look_at_identity(state)
    if identity is None:
        return (known,) if not state.is_dir() else (known, look_at_directory(state))
    with ThreadPoolExecutor(2) as asking:
        broker = asking.submit(look_at_broker, identity, timeout_s)
        answer = asking.submit(ask_cloud, identity, timeout_s).result()
        return (
            known,
            *_trust(state, identity, answer, now_s),
            broker.result(),
            *_kept(state, identity, now_s),
            *(look_at_deployment(state, name, facts.engines) for name in identity.deployments),
            judge_hardware(identity.profile, profile, facts),
            look_at_agent(state, now_s),
            look_at_service(),
        )


def _trust(state: Path, identity: Identity, answer: Answer, now_s: float) -> tuple[Check, ...]:
    newest = answer.body if answer.status == 200 else b""
    return (
        judge_clock(now_s, answer.date_s, passed_s(state)),
        judge_cloud(identity, answer),
        judge_metadata(expiries(state, newest), now_s if answer.date_s is None else answer.date_s),
    )


def _kept(state: Path, identity: Identity, now_s: float) -> tuple[Check, ...]:
    return (
        look_at_disk(state, identity.deployments),
        look_at_directory(state),
        look_at_outbox(state, now_s),
        look_at_journal(state),
    )
