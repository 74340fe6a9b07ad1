# SPDX-License-Identifier: Apache-2.0
"""What happened to a device, told from two of its states. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from insight_edge.documents.device import DeploymentState, Refusal, Reported

MAX_EVENTS = 200
"""Kept for each device; the oldest go."""

MAX_TEXT = 300
"""Characters of an event's text: a device writes part of it."""


class EventKind(StrEnum):
    """What an event is."""

    ENROLLED = "enrolled"
    RETIRED = "retired"
    BORN = "born"
    DIED = "died"
    DESIRED = "desired"
    ACCEPTED = "accepted"
    FORGOT = "forgot"
    REFUSED = "refused"
    HELD = "held"
    RELEASED = "released"
    SWAPPED = "swapped"
    COMMITTED = "committed"
    RESTORED = "restored"


@dataclass(frozen=True, kw_only=True)
class News:
    """One thing that happened.

    Attributes:
        text: one line for people.
        deployment, bundle: that it is about; None where it is about the device.
    """

    kind: EventKind
    text: str
    deployment: str | None = None
    bundle: str | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Some news, and its place in the timeline of a device.

    Attributes:
        number: 1 for the first of a device, then one more each.
        at: by the cloud's clock.
    """

    number: int
    at: datetime
    news: News


def news(before: Reported | None, after: Reported) -> tuple[News, ...]:
    """Return what happened between two states of a device; None is the state of a new one."""
    if before is None:
        before = Reported(tenant=after.tenant, device=after.device, revision=0, at_s=after.at_s)
    found = list(_of_device(before, after))
    for name, state in after.deployments.items():
        found += _of_deployment(name, before.deployments.get(name, DeploymentState()), state)
    return tuple(found)


def one_line(text: str) -> str:
    """Return text without line breaks and other control characters, of bounded length."""
    return "".join(c if c.isprintable() else " " for c in text[: 2 * MAX_TEXT])[:MAX_TEXT].strip()


def _of_device(before: Reported, after: Reported) -> Iterator[News]:
    if after.revision > before.revision:
        yield News(kind=EventKind.ACCEPTED, text=f"accepted revision {after.revision}")
    if after.revision < before.revision:
        yield News(
            kind=EventKind.FORGOT,
            text=f"knows revision {after.revision}, and had accepted {before.revision}",
        )
    if after.refusal is not None and after.refusal != before.refusal:
        yield _refused(after.refusal, None)
    if after.held != before.held:
        yield (
            News(kind=EventKind.HELD, text="updates are stopped by the device's owner")
            if after.held
            else News(kind=EventKind.RELEASED, text="updates are allowed again")
        )


def _of_deployment(name: str, before: DeploymentState, after: DeploymentState) -> Iterator[News]:
    if after.refusal is not None and after.refusal != before.refusal:
        yield _refused(after.refusal, name)
    if after.swap is not None and after.swap != before.swap:
        target, flip_ms = one_line(after.swap.target), after.swap.flip_ms
        yield News(
            kind=EventKind.SWAPPED,
            text=f"swapped to {target[:19]} in {flip_ms:.3g} ms",
            deployment=name,
            bundle=target,
        )
    for kind, bundle, previous, verb in (
        (EventKind.RESTORED, after.restored_from, before.restored_from, "gave up"),
        (EventKind.COMMITTED, after.committed, before.committed, "committed"),
    ):
        if bundle is not None and bundle != previous:
            digest = one_line(bundle)
            yield News(kind=kind, text=f"{verb} {digest[:19]}", deployment=name, bundle=digest)


def _refused(refusal: Refusal, deployment: str | None) -> News:
    bundle = None if refusal.bundle is None else one_line(refusal.bundle)
    text = one_line(f"{refusal.kind} while {refusal.phase}: {refusal.reason}")
    return News(kind=EventKind.REFUSED, text=text, deployment=deployment, bundle=bundle)
