# SPDX-License-Identifier: Apache-2.0
"""What the pages of rollouts show: waves as bars, decisions with their figures. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from insight_cloud.console import words
from insight_cloud.console.tags import Kind
from insight_cloud.rollouts.rollout import ACTIVE, Member, MemberState, Rollout, State

SHOWN = 200
"""Members in the table: those that failed first."""

_KINDS: Mapping[MemberState, Kind] = {
    MemberState.COMMITTED: "good",
    MemberState.ASKED: "info",
    MemberState.FAILED: "bad",
    MemberState.STUCK: "bad",
    MemberState.RETURNING: "warn",
    MemberState.RETURNED: "warn",
}
_ORDER: Sequence[Kind] = ("good", "info", "warn", "bad", "")
_FIRST = (
    MemberState.FAILED,
    MemberState.STUCK,
    MemberState.ASKED,
    MemberState.RETURNING,
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a bar, in per cent of it."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, kw_only=True)
class WaveBar:
    """A wave as it is shown.

    Attributes:
        name: as people count.
        current: it is under way.
    """

    name: str
    current: bool
    members: int
    parts: tuple[Part, ...]
    text: str


def wave_bars(rollout: Rollout, members: Sequence[Member]) -> tuple[WaveBar, ...]:
    """Return the waves, and at the end those devices that there is no bundle for."""
    bars = [
        _bar(
            "Canary" if wave == 0 else f"Wave {wave + 1}",
            [member for member in members if member.wave == wave],
            current=wave == rollout.wave and rollout.state in ACTIVE,
        )
        for wave in range(rollout.waves)
    ]
    unfit = [member for member in members if member.wave is None]
    return tuple([*bars, _bar("No bundle for", unfit, current=False)] if unfit else bars)


def shown_members(members: Sequence[Member]) -> tuple[Member, ...]:
    """Return the members that a table shows, those that need a look first."""
    return tuple(sorted(members, key=_place)[:SHOWN])


def kind_of(state: MemberState) -> Kind:
    """Return the colour of a state."""
    return _KINDS.get(state, "")


def progress_text(members: Sequence[Member]) -> str:
    """Return how far a rollout is, in a few words."""
    counts = Counter(member.state for member in members)
    return ", ".join(f"{count} {state.value}" for state, count in counts.most_common())


def figure_lines(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the evidence of a decision, one line a group or turnout."""
    groups = map(_group_text, figures.get("groups") or ())
    turnouts = map(_turnout_text, figures.get("turnouts") or ())
    return tuple(line for line in (*groups, *turnouts) if line)


def actions_of(rollout: Rollout) -> tuple[str, ...]:
    """Return what can be done with a rollout now."""
    return {
        State.PENDING: ("abort",),
        State.RUNNING: ("pause", "roll_back", "abort"),
        State.PAUSED: ("resume", "roll_back", "abort"),
        State.ROLLING_BACK: ("abort",),
        State.COMPLETED: ("roll_back",),
        State.ABORTED: ("roll_back",),
        State.ROLLED_BACK: (),
    }.get(rollout.state, ())


def _bar(name: str, members: Sequence[Member], *, current: bool) -> WaveBar:
    total = len(members) or 1
    counts = Counter(kind_of(member.state) or "idle" for member in members)
    parts, start = [], 0.0
    for kind in [one or "idle" for one in _ORDER]:
        width = 100 * counts[kind] / total
        if width:
            parts.append(Part(kind=kind, start=round(start, 3), width=round(width, 3)))
            start += width
    return WaveBar(
        name=name,
        current=current,
        members=len(members),
        parts=tuple(parts),
        text=progress_text(members) or "nobody",
    )


def _place(member: Member) -> tuple[int, int, str]:
    urgent = _FIRST.index(member.state) if member.state in _FIRST else len(_FIRST)
    wave = member.wave if member.wave is not None else 10**6
    return urgent, wave, member.device


def _group_text(group: Mapping[str, Any]) -> str:
    new, old = group.get("new") or {}, group.get("old") or {}
    commits, failures = len(group.get("commits") or ()), len(group.get("failures") or ())
    text = (
        f"wave {int(group.get('wave', 0)) + 1}, {group.get('profile', '?')}: {commits} of "
        f"{group.get('members', 0)} committed, {failures} failed; {_calls(new)}"
    )
    return f"{text}; before {_calls(old)}" if old.get("asked") else text


def _calls(calls: Mapping[str, Any]) -> str:
    p99 = calls.get("p99_ms")
    timed = "" if p99 is None else f", p99 {words.figure(p99)} ms"
    return f"{calls.get('asked', 0)} calls, {calls.get('failed', 0)} failed{timed}"


def _turnout_text(turnout: Mapping[str, Any]) -> str:
    def share(side: str) -> str:
        judged, wrong = turnout.get(f"{side}_judged", 0), turnout.get(f"{side}_wrong", 0)
        return f"{judged - wrong} of {judged}" if judged else "none known"

    if not (turnout.get("new_judged") or turnout.get("old_judged")):
        return ""
    return f"{turnout.get('profile', '?')}: {share('new')} right, before {share('old')}"
