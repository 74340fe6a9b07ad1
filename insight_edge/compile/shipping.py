# SPDX-License-Identifier: Apache-2.0
"""The parts of a bundle, each in its role: what a choice and its findings come to. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from insight_edge.compile.choose import Choice
from insight_edge.compile.trials.examine import Finding
from insight_edge.compile.trials.package import Part, Role
from insight_edge.documents.evidence import Trial

ROLES: tuple[Role, ...] = ("winner", "fallback")


def shipped_parts(
    choice: Choice, findings: Mapping[str, Finding], contenders: Sequence[Trial] = ()
) -> list[Part]:
    """Return the winner, the fallback where there is one, and the contenders after them.

    Args:
        choice: of one compilation.
        findings: its artifacts, by token of the target.
        contenders: trials that go along.
    """
    trials = [choice.trials[index] for index in choice.shipped]
    parts = [_part(findings, trial, role) for trial, role in zip(trials, ROLES, strict=False)]
    return parts + [_part(findings, trial, "contender") for trial in contenders]


def _part(findings: Mapping[str, Finding], trial: Trial, role: Role) -> Part:
    return replace(findings[trial.target.token].part, role=role, decision=trial.reason)
