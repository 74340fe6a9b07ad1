# SPDX-License-Identifier: Apache-2.0
"""Carries out what `challenges.rules` says for the challenger of one deployment.

    <state>/challenges/<deployment>/incoming/<hex>/     the bundle while it is fetched

What takes time is done in a thread of its own, what the host has to do by the attendant beside
it. Nothing is kept over restarts but the slot itself: what is wanted is in the journal.
"""

import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from insight_edge.bundle.challenger_slot import ChallengerSlot
from insight_edge.bundle.durable import storing
from insight_edge.bundle.need import bound_bytes
from insight_edge.documents.codec import decode_json
from insight_edge.documents.desired import Challenging
from insight_edge.documents.device import ChallengerState
from insight_edge.documents.manifest import Manifest
from insight_edge.errors import InsightEdgeError, StorageError
from insight_edge.fleet.challenges.rules import (
    Doing,
    Laid,
    NotLaid,
    Standing,
    Swept,
    desired,
    learned,
    next_step,
    told,
)
from insight_edge.fleet.jobs.memory import available_bytes
from insight_edge.fleet.jobs.runner import Offers
from insight_edge.fleet.transfer.incoming import Incoming
from insight_edge.fleet.transfer.install import fetch_failed
from insight_edge.fleet.update.events import Event
from insight_edge.fleet.update.policy import Policy
from insight_edge.fleet.update.state import UpdateState

PLACE: Final = "challenges"

_log = logging.getLogger(__name__)

Ask = Callable[[Challenging | None], None]
"""Has the attendant ask the host to begin or end a comparison."""


class Contest:
    """The challenger of one deployment, until `stop`.

    Args:
        place: directory of its own.
        deployment: state directory of the deployment.
        offers: what bundles come by.
        ask: has the host begin or end it; an event tells what became of that.
        tell: called with events, from another thread.
        memory_bytes: that this process may use at all.
    """

    def __init__(
        self,
        place: Path,
        deployment: Path,
        offers: Offers,
        *,
        ask: Ask,
        tell: Callable[[Event], None],
        memory_bytes: int,
    ) -> None:
        self._place, self._slot = place, ChallengerSlot(deployment)
        self._offers, self._ask, self._tell = offers, ask, tell
        self._memory_bytes = memory_bytes
        self._stopping = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="insight-edge challenger")
        self._standing = Standing()
        bundle = self._slot.held
        if bundle is not None:
            manifest = self._slot.bundle(allow_unsigned=False).manifest
            laid = Laid(bundle, _needed_bytes(manifest))
            self._standing = learned(self._standing, laid, 0.0, Policy())

    @property
    def state(self) -> ChallengerState | None:
        """How it stands; None where none is wanted."""
        return told(self._standing)

    def desire(self, wanted: Challenging | None, revision: int, expires_s: float) -> None:
        """Take in what the newest `Desired` says."""
        self._standing = desired(self._standing, wanted, revision, expires_s)

    def hear(self, event: Event, now_s: float, policy: Policy) -> None:
        """Take in what happened."""
        self._standing = learned(self._standing, event, now_s, policy)

    def turn(self, update: UpdateState, now_s: float, policy: Policy, *, held: bool) -> None:
        """Do what is to be done now, if anything is."""
        calm = update.phase in {"idle", "fetching"} and update.serving is not None
        before = replace(self._standing, calm=calm)
        self._standing, step = next_step(
            before, now_s, policy, held=held, free_bytes=available_bytes(self._memory_bytes)
        )
        if step is not None:
            self._do(step)

    def stop(self) -> None:
        """Give up what is under way; what was fetched stays."""
        self._stopping = True
        self._pool.shutdown(cancel_futures=True)

    def _do(self, step: Doing) -> None:
        wanted = self._standing.wanted
        match step:
            case "begin":
                self._ask(wanted)
            case "end":
                self._ask(None)
            case "sweep":
                self._pool.submit(self._sweep)
            case _ if wanted is not None:
                self._pool.submit(self._lay, wanted.bundle)

    def _lay(self, bundle: str) -> None:
        try:
            self._tell(self._laid(bundle))
        except InsightEdgeError as error:
            _log.warning("challenger %s: %s", bundle[:19], error)
            failed = fetch_failed(bundle, error)
            self._tell(NotLaid(bundle, failed.kind, failed.reason, failed.final))
        except Exception as error:  # noqa: BLE001 (an agent that fails here would try no other)
            _log.exception("challenger %s failed in an unforeseen way", bundle[:19])
            self._tell(NotLaid(bundle, type(error).__name__, f"{error}"[:200], final=False))

    def _laid(self, bundle: str) -> Laid:
        found, _ = self._offers.manifest(bundle)
        incoming = Incoming(self._place, found)
        places = self._offers.slots
        incoming.assemble(
            self._offers.source, places, stop=lambda: self._is_over(bundle), stays=True
        )
        self._slot.stage(incoming.path, bundle)
        self._remove()
        return Laid(bundle, _needed_bytes(decode_json(Manifest, found)))

    def _is_over(self, bundle: str) -> bool:
        wanted = self._standing.wanted
        return self._stopping or wanted is None or wanted.bundle != bundle

    def _sweep(self) -> None:
        try:
            self._slot.clear()
            self._remove()
        except StorageError as error:
            _log.warning("%s", error)
        self._tell(Swept())

    def _remove(self) -> None:
        with storing(self._place):
            if self._place.exists():
                shutil.rmtree(self._place)


def _needed_bytes(manifest: Manifest) -> int:
    """Return what the variant that serves may take, once it is loaded."""
    winner = manifest.variants[0]
    return bound_bytes((winner,))
