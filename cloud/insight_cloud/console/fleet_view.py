# SPDX-License-Identifier: Apache-2.0
"""What the fleet's page shows of devices, and which of them are asked for. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from insight_cloud.console.tags import Tag
from insight_cloud.devices.device import Device, Query
from insight_edge.documents.device import DeploymentState

MAX_TEXT = 63
CHOICES = ("online", "held", "behind", "retired")
_ANSWERS = {"yes": True, "no": False}


@dataclass(frozen=True, kw_only=True)
class DeploymentLine:
    """A deployment as it is shown.

    Attributes:
        label: model and version that it serves; None where they are not known.
        why: why it does not run what it should; None where it does.
    """

    name: str
    serving: str | None
    label: str | None
    tag: Tag
    why: str | None
    state: DeploymentState


@dataclass(frozen=True, kw_only=True)
class DeviceLine:
    """A device as it is shown in a table."""

    device: Device
    tag: Tag
    deployments: tuple[DeploymentLine, ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which devices a page is asked for.

    Attributes:
        after: the name that the page begins after.
    """

    text: str = ""
    profile: str = ""
    online: str = ""
    held: str = ""
    behind: str = ""
    retired: str = ""
    after: str | None = None

    def query(self) -> Query:
        """Return it as the service is asked."""
        return Query(
            text=self.text or None,
            profile=self.profile or None,
            online=_ANSWERS.get(self.online),
            held=_ANSWERS.get(self.held),
            behind=_ANSWERS.get(self.behind),
            retired=_ANSWERS.get(self.retired, False),
        )

    def address(self, after: str | None) -> str:
        """Return the address of another page of the same."""
        names = ("text", "profile", *CHOICES)
        chosen = {name: getattr(self, name) for name in names if getattr(self, name)}
        return "/devices?" + urlencode(chosen | ({} if after is None else {"after": after}))


def asked_of(parameters: Mapping[str, str]) -> Asked:
    """Return what the query of an address asks for; what cannot be meant is left out."""
    text, profile = (parameters.get(name, "").strip()[:MAX_TEXT] for name in ("text", "profile"))
    choices = {name: parameters.get(name, "") for name in CHOICES}
    known = {name: value for name, value in choices.items() if value in _ANSWERS}
    after = parameters.get("after", "")[:MAX_TEXT] or None
    return Asked(text=text, profile=profile, after=after, **known)


def presence_of(device: Device) -> Tag:
    """Return whether a device is there."""
    if device.retired is not None:
        return Tag("retired", "plain")
    if device.online:
        return Tag("online", "good")
    return Tag("never connected", "warn") if device.last_seen is None else Tag("offline", "")


def update_of(state: DeploymentState, why: str | None, *, assigned: bool) -> Tag:
    """Return how the update of a deployment stands."""
    if why is None:
        return Tag("up to date", "good")
    if not assigned:
        return Tag("nothing assigned", "plain")
    if state.phase != "idle":
        return Tag(state.phase, "info")
    if state.restored_from is not None:
        return Tag("restored", "bad")
    if state.refusal is not None:
        return Tag("refused", "bad")
    return Tag("waiting")


def swap_figures(state: DeploymentState) -> Sequence[tuple[str, float]]:
    """Return what the last swap took, phase by phase, in milliseconds."""
    swap = state.swap
    if swap is None:
        return ()
    names = ("stage_ms", "verify_ms", "warm_ms", "flip_ms", "drain_ms", "retire_ms")
    found = ((name.removesuffix("_ms"), getattr(swap, name, None)) for name in names)
    return tuple((name, value) for name, value in found if value is not None)
