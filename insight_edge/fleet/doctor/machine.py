# SPDX-License-Identifier: Apache-2.0
"""The machine and what runs on it: the profile it was enrolled for, the agent, its service."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from insight_edge.documents.codec import decode_json
from insight_edge.documents.device import Reported
from insight_edge.documents.facts import Facts
from insight_edge.documents.job import JobState
from insight_edge.documents.profile import HardwareProfile, mismatch
from insight_edge.errors import DocumentError
from insight_edge.fleet.doctor.check import Check, failed, ok, span, warning
from insight_edge.fleet.telling import ALIVE_S, STATUS
from insight_edge.fleet.unit import NAME

UNITS: Final = Path("/etc/systemd/system")
SYSTEMCTL_S: Final = 3.0
MAX_BYTES: Final = 1024 * 1024


def judge_hardware(name: str, profile: HardwareProfile | None, facts: Facts) -> Check:
    """Return whether a machine still is what the device was enrolled as.

    Args:
        name: id of the profile.
        profile: what it asks for; None where it is not known here.
        facts: of this machine.
    """
    if profile is None:
        return warning("hardware", f"profile '{name}' is not among those shipped with this release")
    reason = mismatch(profile, facts)
    if reason is None:
        return ok("hardware", f"fits the profile {name}")
    hint = "what was lost can be put back, or the device enrolled anew"
    return failed("hardware", f"the profile {name} {reason}", hint)


def look_at_agent(state: Path, now_s: float) -> Check:
    """Return whether the agent runs, by what it says of itself."""
    path = state / STATUS
    try:
        age_s = now_s - path.stat().st_mtime
        with path.open("rb") as file:
            found = decode_json(Reported, file.read(MAX_BYTES))
    except FileNotFoundError:
        return warning("agent", "it has not run yet", "insight-edge agent run, or agent install")
    except (OSError, DocumentError):
        return failed("agent", f"{path}: cannot be read", "it is written anew when the agent runs")
    return judge_agent(found, age_s)


def judge_agent(found: Reported, age_s: float) -> Check:
    """Return how an agent stands that said this so long ago."""
    if abs(age_s) > ALIVE_S:
        hint = f"insight-edge agent run, or systemctl start {NAME}"
        return warning("agent", f"it has said nothing for {span(age_s)}", hint)
    if found.refusal is not None:
        says = f"runs; refused to be told: {found.refusal.kind}: {found.refusal.reason}"
        return warning("agent", says[:300], "the cloud's 'why not updated' says the same")
    if found.held:
        says = "runs; updates and jobs are held"
        return warning("agent", says, "insight-edge agent hold --release")
    refusals = [
        f"{name}: {one.refusal.kind}: {one.refusal.reason}"
        for name, one in found.deployments.items()
        if one.refusal is not None
    ]
    if refusals:
        return warning("agent", f"runs; {refusals[0]}"[:300])
    return ok("agent", "; ".join(["runs", *map(_job, found.jobs)])[:300])


def _job(job: JobState) -> str:
    return f"job {job.id} is {job.phase}{job.why and f': {job.why}'}"


def look_at_service(units: Path = UNITS) -> Check:
    """Return how the systemd service of the agent stands, where there is one."""
    if not units.is_dir():
        return ok("service", "systemd is not here; whatever starts the agent is this machine's own")
    if not (units / NAME).exists():
        return warning("service", f"{NAME} is not installed", "insight-edge agent install")
    return judge_service(_systemctl("is-active"), _systemctl("is-enabled"))


def judge_service(active: str | None, enabled: str | None) -> Check:
    """Return how a service stands of which systemctl says this; None where it cannot be asked."""
    if active is None or enabled is None:
        return warning("service", f"{NAME} is installed; systemctl cannot be asked")
    if active != "active":
        return failed("service", f"{NAME} is {active}", f"journalctl -u {NAME}")
    if enabled != "enabled":
        says = f"{NAME} is active, and not started at boot"
        return warning("service", says, f"systemctl enable {NAME}")
    return ok("service", f"{NAME} is active")


def _systemctl(question: str) -> str | None:
    program = shutil.which("systemctl")
    if program is None:
        return None
    try:
        asked = subprocess.run(
            [program, question, NAME],
            capture_output=True,
            text=True,
            check=False,
            timeout=SYSTEMCTL_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip()[:40] or None
