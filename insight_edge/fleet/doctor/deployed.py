# SPDX-License-Identifier: Apache-2.0
"""Deployments: what is committed, whether this machine has its engine, who is attached."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from insight_edge.bundle.open import open_manifest
from insight_edge.bundle.slots import Slots
from insight_edge.errors import HostError, InsightEdgeError
from insight_edge.fleet.doctor.check import Check, failed, ok, warning
from insight_edge.fleet.hostlink import HostLink
from insight_edge.fleet.identity import deployment_dir

HOST_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of a deployment.

    Attributes:
        trouble: why its slots cannot be used; empty where they can.
        bundle: digest of the committed one, None before the first.
        engines: tokens that its variants ask for, the winner's first.
        attached: whether a runtime host answers.
        serving: digest of what that serves.
    """

    trouble: str = ""
    bundle: str | None = None
    engines: tuple[str, ...] = ()
    attached: bool = False
    serving: str | None = None


def look_at_deployment(state: Path, name: str, engines: Collection[str]) -> Check:
    """Return how a deployment stands; no engine is loaded for it.

    Args:
        state: directory of the agent.
        name: of the deployment.
        engines: tokens of those that can be loaded on this machine.
    """
    return judge_deployment(name, _seen(deployment_dir(state, name)), engines)


def judge_deployment(name: str, seen: Seen, engines: Collection[str]) -> Check:
    """Return how a deployment stands of which this was seen."""
    title = f"deployment {name}"
    if seen.trouble:
        return failed(title, seen.trouble, "have the bundle assigned anew, by a higher revision")
    if seen.bundle is None:
        return warning(title, "no bundle is committed yet", "insight-cloud device assign")
    lacking = [token for token in seen.engines if token not in engines]
    says = f"{_short(seen.bundle)} is committed"
    if lacking and len(lacking) == len(seen.engines):
        return failed(title, f"{says}, and its engine is not installed here", _install(lacking))
    if not seen.attached:
        return warning(title, f"{says}; no application is attached", "start the application")
    if lacking and lacking[0] == seen.engines[0]:
        says = f"{says}; {lacking[0]} is not installed here, its fallback is asked"
        return warning(title, says, _install(lacking))
    return _judge_serving(title, says, seen)


def _judge_serving(title: str, says: str, seen: Seen) -> Check:
    if seen.serving is None:
        hint = "the application's log says why; another bundle can be assigned"
        return failed(title, f"{says}; the application serves nothing", hint)
    if seen.serving != seen.bundle:
        return ok(title, f"{says}; {_short(seen.serving)} serves on probation")
    return ok(title, f"{says} and serves")


def _install(lacking: list[str]) -> str:
    return f"pip install 'insight-edge[{lacking[0]}]'"


def _seen(place: Path) -> Seen:
    if not (place / "slots").is_dir():
        return Seen()
    try:
        slots = Slots(place)
        committed = slots.committed
        if committed is None:
            return Seen()
        opened = open_manifest(place / "slots" / committed, allow_unsigned=True)
    except InsightEdgeError as error:
        return Seen(trouble=" ".join(str(error).split())[:200])
    attached, serving = _host(place)
    return Seen(
        bundle=opened.digest,
        engines=tuple(variant.target.backend for variant in opened.manifest.variants),
        attached=attached,
        serving=serving,
    )


def _host(place: Path) -> tuple[bool, str | None]:
    try:
        with HostLink(place, timeout_s=HOST_TIMEOUT_S) as host:
            return not host.hello.leaving, host.hello.serving
    except HostError:
        return False, None


def _short(bundle: str) -> str:
    return bundle.removeprefix("sha256:")[:12]
