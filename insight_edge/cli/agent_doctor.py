# SPDX-License-Identifier: Apache-2.0
"""Verb `agent doctor`: one screen that says what is wrong with this device, and what to do."""

from pathlib import Path

from rich.markup import escape

from insight_edge.bench.machine import machine_facts
from insight_edge.cli.screen import Format, emit
from insight_edge.compile.profiles.reading import shipped_profiles
from insight_edge.documents.profile import HardwareProfile
from insight_edge.errors import FleetError, InsightEdgeError
from insight_edge.fleet.doctor.check import failures
from insight_edge.fleet.doctor.examine import examine
from insight_edge.fleet.identity import identity_of
from insight_edge.runtime.loading import engine_facts

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def show(state: Path, output: Format) -> None:
    """Look at everything, print it, and complain where something is wrong.

    Raises:
        FleetError: a check failed.
    """
    checks = examine(state, machine_facts(engine_facts()), _profile(state))
    rows = [
        {
            "check": escape(one.name),
            "state": f"[{STYLES[one.state]}]{one.state}[/]" if output == "table" else one.state,
            "found": escape(one.says) if output == "table" else one.says,
            "hint": escape(one.hint) if output == "table" else one.hint,
        }
        for one in checks
    ]
    emit(rows, output, document=checks)
    if (count := failures(checks)) > 0:
        raise FleetError(
            f"{count} of {len(checks)} checks failed", hint="begin with the first: others follow"
        )


def _profile(state: Path) -> HardwareProfile | None:
    try:
        return shipped_profiles().get(identity_of(state).profile)
    except InsightEdgeError:
        return None
