# SPDX-License-Identifier: Apache-2.0
"""What the agent must not forget: the last accepted `Desired`, and where each update stands.

    <state>/journal/desired.json            an `Accepted`
    <state>/journal/update-<name>.json      the `UpdateState` of a deployment

Files that are replaced whole, not rows beside the outbox: the outbox is written
all day and is the first to suffer from a worn or full disk, and what keeps a
device from going back to an older revision must not suffer with it. So each file
stands alone too: one that cannot be read is moved aside, and costs no other.

State is written before its actions are handed out. Where it cannot be written,
nothing is done that would need it; it is asked for again later.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from msgspec.structs import replace

from insight_edge.bundle.durable import replace_file, storing
from insight_edge.documents.codec import Versioned, decode_json, encode_json
from insight_edge.documents.desired import Desired
from insight_edge.documents.device import Refusal
from insight_edge.documents.topics import check_name
from insight_edge.errors import DocumentError, LimitExceededError, StorageError
from insight_edge.fleet.update.actions import Action, CancelFetch, ReportState
from insight_edge.fleet.update.events import Event
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.protocol import DEFAULT, advance
from insight_edge.fleet.update.state import UpdateState, durable
from insight_edge.fleet.update.transitions import put_off

MAX_BYTES: Final = 1024 * 1024

_log = logging.getLogger(__name__)

V = TypeVar("V", bound=Versioned)


class Accepted(Versioned, frozen=True, kw_only=True):
    """What was accepted last.

    Attributes:
        payload: digest of the bytes that were signed; the same revision has no others.
    """

    desired: Desired
    payload: str


class Journal:
    """The journal of one agent, the only one that writes there.

    Args:
        state: directory of the agent.
        deployments: names.

    Attributes:
        accepted: the last `Desired`, None before the first or where it was lost.
        lost: files that could not be read and lie beside as `<name>.unreadable`.

    Raises:
        DocumentError: a deployment's name is none.
        StorageError: the directory cannot be made, read or swept.
    """

    def __init__(self, state: Path, deployments: Iterable[str]) -> None:
        self._folder = state / "journal"
        self.lost: list[str] = []
        with storing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in self._folder.glob(".*"):
                left.unlink()
        self.accepted = self._read(Accepted, "desired.json")
        self._updates = {
            name: self._read(UpdateState, _file(name)) or UpdateState() for name in deployments
        }
        self._written = {name: durable(update) for name, update in self._updates.items()}

    @property
    def revision(self) -> int:
        """The highest revision that was accepted, 0 before the first.

        Where `desired.json` was lost, what the updates were told still counts.
        """
        told = (one.wanted.revision for one in self._updates.values() if one.wanted is not None)
        return max([0 if self.accepted is None else self.accepted.desired.revision, *told])

    def accept(self, desired: Desired, payload: str) -> None:
        """Keep a `Desired` that the trust check has accepted.

        Args:
            desired: what the device should run.
            payload: digest of the bytes that were signed.

        Raises:
            StorageError: it cannot be written; the one before stays.
        """
        accepted = Accepted(desired=desired, payload=payload)
        replace_file(self._folder / "desired.json", encode_json(accepted))
        self.accepted = accepted

    def update(self, deployment: str) -> UpdateState:
        """Return where the update of a deployment stands."""
        return self._updates[deployment]

    def advance(
        self, deployment: str, event: Event, now_s: float, policy: Policy = DEFAULT
    ) -> tuple[Action, ...]:
        """Take an event in, write down where that leads, and return what is to be done then.

        Args:
            deployment: its name.
            event: what happened to its update.
            now_s: seconds since the epoch by the device's clock.
            policy: pauses and bounds.
        """
        new, actions = advance(self._updates[deployment], event, now_s, policy)
        try:
            self._keep(deployment, new)
        except StorageError as error:
            _log.warning("%s", error)
            new, actions = _without_writing(new, actions, error, now_s, policy)
        self._updates[deployment] = new
        return actions

    def _keep(self, deployment: str, new: UpdateState) -> None:
        lasting = durable(new)
        if lasting != self._written[deployment]:
            replace_file(self._folder / _file(deployment), encode_json(new))
            self._written[deployment] = lasting

    def _read(self, kind: type[V], name: str) -> V | None:
        path = self._folder / name
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise LimitExceededError(f"{path}: more than {MAX_BYTES} bytes")
            return decode_json(kind, data)
        except FileNotFoundError:
            return None
        except (OSError, DocumentError) as error:
            _log.warning("%s: cannot be read and is moved aside: %s", path, error)
            self.lost.append(name)
            with suppress(OSError):
                path.replace(path.with_name(f"{name}.unreadable"))
            return None


def _without_writing(
    new: UpdateState,
    actions: tuple[Action, ...],
    error: StorageError,
    now_s: float,
    policy: Policy,
) -> tuple[UpdateState, tuple[Action, ...]]:
    """Return the state and actions of an agent that cannot write: it waits, and says why."""
    free = tuple(one for one in actions if isinstance(one, CancelFetch | ReportState))
    if free == actions:
        return new, actions
    bundle = None if new.target is None else new.target.bundle
    refusal = Refusal(
        kind=type(error).__name__, reason=str(error), phase=new.phase, bundle=bundle, at_s=now_s
    )
    waiting = replace(put_off(new, now_s, policy), refusal=refusal)
    return waiting, (*(one for one in free if isinstance(one, CancelFetch)), ReportState())


def _file(deployment: str) -> str:
    return f"update-{check_name('deployment', deployment)}.json"
