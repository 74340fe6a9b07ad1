# SPDX-License-Identifier: Apache-2.0
"""Verbs `rollout …`: bring a model version to a fleet in waves, watch it, steer it."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from insight_cloud.cli.opening import State, opened, whoever
from insight_cloud.cli.screen import Format, err, print_json, print_table
from insight_cloud.cli.spelling import model_version, seconds
from insight_cloud.devices.selection import Selection
from insight_cloud.platform.clock import now
from insight_cloud.rollouts.plan import Plan
from insight_cloud.rollouts.rollout import Member, Rollout
from insight_cloud.rollouts.service import Rollouts

app = App(name="rollout", help="Bring a model version to a fleet in waves.")

DEFAULT = Plan()
MEMBERS_SHOWN = 50

Steer = Callable[[Rollouts, str, datetime], Rollout]


@app.command
def start(
    what: str,
    /,
    *,
    deployment: str = "default",
    canary: str = DEFAULT.canary,
    wave: Annotated[list[str] | None, Parameter(negative=())] = None,
    soak: str = "10m",
    deadline: str = "24h",
    least_calls: int = DEFAULT.least_calls,
    needed: float = DEFAULT.needed_share,
    max_failed: float = DEFAULT.max_failed_share,
    error_margin: float = DEFAULT.error_margin,
    p99_factor: float = DEFAULT.p99_factor,
    p99_slack_ms: float = DEFAULT.p99_slack_ms,
    flagged_margin: float = DEFAULT.flagged_margin,
    accuracy_margin: float = DEFAULT.accuracy_margin,
    least_outcomes: int = DEFAULT.least_outcomes,
    baseline: str = "24h",
    device: Annotated[list[str] | None, Parameter(negative=())] = None,
    text: str | None = None,
    profile: str | None = None,
    state: State = None,
) -> None:
    """Start a rollout and print its number; docs/guides/roll-out.md says what each bound is for.

    Args:
        what: MODEL:VERSION, or MODEL:ALIAS.
        deployment: its name on the devices.
        canary: first wave, a count or a share such as 5%.
        wave: share of the devices that have it after each further wave; the last is 100%.
        soak: how long a device serves after its commit before it counts (s, m, h, d).
        deadline: after it a wave that has not shown enough is paused.
        least_calls: calls of each profile in a wave before the next.
        needed: share of a wave's devices that must have committed it.
        max_failed: share of a wave's devices that may refuse it or give it up.
        error_margin: more failed calls than before, as a share.
        p99_factor: p99 may be this many times that of the old bundle.
        p99_slack_ms: and so much more.
        flagged_margin: more flagged rows than before, as a share.
        accuracy_margin: fewer right results than before, as a share.
        least_outcomes: known results before accuracies are compared.
        baseline: how far back the old bundle is looked at.
        device: only these; repeat it.
        text: only devices with this in their names.
        profile: only devices of this profile.
        state: folder of this installation.
    """
    model, version = model_version(what)
    plan = Plan(
        canary=canary,
        waves=tuple(wave or DEFAULT.waves),
        needed_share=needed,
        max_failed_share=max_failed,
        soak_s=seconds(soak),
        deadline_s=seconds(deadline),
        least_calls=least_calls,
        error_margin=error_margin,
        p99_factor=p99_factor,
        p99_slack_ms=p99_slack_ms,
        flagged_margin=flagged_margin,
        accuracy_margin=accuracy_margin,
        least_outcomes=least_outcomes,
        baseline_s=seconds(baseline),
    )
    named = None if device is None else tuple(device)
    selection = Selection(devices=named, text=text, profile=profile)
    with opened(state) as cloud:
        made = cloud.rollouts.start(
            model,
            version,
            deployment,
            by=whoever(),
            now=now(),
            selection=selection,
            plan=plan,
        )
        members = cloud.rollouts.members(made.id)
    for one in members:
        if one.bundle is None:
            err.print(escape(f"{one.device}: {one.note}"))
    fit = sum(one.bundle is not None for one in members)
    err.print(f"{made.label} to {deployment}: {fit} devices in {made.waves} waves")
    sys.stdout.write(f"{made.id}\n")


@app.command(name="list")
def list_(*, active: bool = False, state: State = None, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """List rollouts, the newest first.

    Args:
        active: only those that go on.
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        found = cloud.rollouts.list(active=True if active else None)
    if format == "json":
        print_json(found)
        return
    table = Table(title="Rollouts", title_justify="left")
    for name in ("rollout", "model", "deployment", "state", "wave", "why"):
        table.add_column(name)
    for one in found:
        wave = f"{one.wave + 1} of {one.waves}"
        row = (str(one.id), one.label, one.deployment, one.state.value, wave, escape(one.reason))
        table.add_row(*row)
    print_table(table)


@app.command
def show(rollout: int, /, *, state: State = None, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """Show a rollout, its devices and what was decided.

    Args:
        rollout: its number.
        state: folder of this installation.
        format: how to print.
    """
    with opened(state) as cloud:
        found = cloud.rollouts.get(rollout)
        members = cloud.rollouts.members(rollout)
        decisions = cloud.rollouts.decisions(rollout)
    if format == "json":
        print_json({"rollout": found, "members": members, "decisions": decisions})
        return
    title = f"Rollout {rollout}: {found.label} to {found.deployment} is {found.state.value}"
    print_table(_members(f"{title}; {found.reason}", members))
    table = Table(title="Decisions, the newest first", title_justify="left")
    for name in ("at (UTC)", "decision", "by", "reason"):
        table.add_column(name)
    for one in decisions:
        table.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", one.decision, one.by, escape(one.reason))
    print_table(table)


@app.command
def pause(rollout: int, /, *, reason: str = "", state: State = None) -> None:
    """Ask no further device and decide nothing until it is resumed.

    Args:
        rollout: its number.
        reason: why.
        state: folder of this installation.
    """
    _steer(state, lambda all_, by, at: all_.pause(rollout, by=by, now=at, reason=reason))


@app.command
def resume(rollout: int, /, *, reason: str = "", waive: bool = False, state: State = None) -> None:
    """Go on, with a new deadline for the wave.

    Args:
        rollout: its number.
        reason: why.
        waive: the wave need not show more than it has; a breach goes back all the same.
        state: folder of this installation.
    """
    _steer(
        state,
        lambda all_, by, at: all_.resume(rollout, by=by, now=at, reason=reason, waive=waive),
    )


@app.command
def abort(rollout: int, /, *, reason: str = "", state: State = None) -> None:
    """Stop for good and leave every device as it is.

    Args:
        rollout: its number.
        reason: why.
        state: folder of this installation.
    """
    _steer(state, lambda all_, by, at: all_.abort(rollout, by=by, now=at, reason=reason))


@app.command(name="roll-back")
def roll_back(rollout: int, /, *, reason: str = "", state: State = None) -> None:
    """Bring every device that was asked back to the bundle it had.

    Args:
        rollout: its number.
        reason: why.
        state: folder of this installation.
    """
    _steer(state, lambda all_, by, at: all_.roll_back(rollout, by=by, now=at, reason=reason))


@app.command(name="why-not")
def why_not(device: str, /, *, deployment: str = "default", state: State = None) -> None:
    """Print in one sentence why a device is not updated; nothing where it is.

    Args:
        device: its name.
        deployment: its name.
        state: folder of this installation.
    """
    with opened(state) as cloud:
        why = cloud.rollouts.why_not(device, deployment)
    if why is not None:
        sys.stdout.write(why + "\n")


def _steer(state: Any, action: Steer) -> None:
    with opened(state) as cloud:
        after = action(cloud.rollouts, whoever(), now())
    err.print(escape(f"rollout {after.id}: {after.state.value}; {after.reason}"))


def _members(title: str, members: tuple[Member, ...]) -> Table:
    table = Table(title=escape(title), title_justify="left")
    for name in ("device", "profile", "wave", "state", "bundle", "note"):
        table.add_column(name)
    for one in members[:MEMBERS_SHOWN]:
        wave = "" if one.wave is None else str(one.wave + 1)
        bundle = (one.bundle or "")[:19]
        table.add_row(one.device, one.profile, wave, one.state.value, bundle, escape(one.note))
    if len(members) > MEMBERS_SHOWN:
        table.caption = f"{MEMBERS_SHOWN} of {len(members)}; --format json has all"
    return table
