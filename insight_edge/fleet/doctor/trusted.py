# SPDX-License-Identifier: Apache-2.0
"""Signed metadata: until when it counts. Nothing is verified here; the agent does that."""

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from insight_edge.fleet.doctor.check import Check, failed, ok, span, warning

MAX_BYTES: Final = 1024 * 1024
SOON_S: Final = 14 * 86_400.0
ROLES: Final = ("root", "targets", "snapshot", "timestamp")

_RENEWAL: Final = {
    "root": "renew it offline: insight-cloud keys rotate",
    "targets": "renew it offline: insight-cloud keys rotate",
}
_WORKER: Final = "the cloud signs it again by itself: is its worker running?"


def expiries(state: Path, newest: bytes) -> dict[str, float]:
    """Return until when each role counts, seconds since the epoch, as far as it can be read.

    Args:
        state: directory of the agent.
        newest: timestamp metadata as the cloud gives it now; empty where it is not known.
    """
    folder = state / "tuf" / "metadata"
    found = {role: _expires_s(_read(folder / f"{role}.json")) for role in ROLES}
    fresh = _expires_s(newest)
    if fresh is not None:
        found["timestamp"] = max(fresh, found["timestamp"] or 0.0)
        found.pop("snapshot")  # signed along with it; the one here is fetched anew when needed
    return {role: at_s for role, at_s in found.items() if at_s is not None}


def judge_metadata(expires: dict[str, float], now_s: float) -> Check:
    """Return whether anything may be installed by this metadata at a time."""
    if not expires:
        return warning("metadata", "none was fetched yet", "it is, with the first assignment")
    role, at_s = min(expires.items(), key=lambda item: item[1])
    hint = _RENEWAL.get(role, _WORKER)
    if at_s <= now_s:
        says = f"{role} expired {span(now_s - at_s)} ago: nothing is installed"
        return failed("metadata", says, hint)
    says = f"{role} expires first, in {span(at_s - now_s)}"
    if role in _RENEWAL and at_s - now_s < SOON_S:
        return warning("metadata", says, hint)
    return ok("metadata", says)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return b""


def _expires_s(data: bytes) -> float | None:
    try:
        return datetime.fromisoformat(msgspec.json.decode(data)["signed"]["expires"]).timestamp()
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, OverflowError):
        return None
