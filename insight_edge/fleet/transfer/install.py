# SPDX-License-Identifier: Apache-2.0
"""Put a bundle that has come in into the idle slot, and say what the disk holds.

Nothing is downloaded here (`fleet.incoming`) and nothing is activated. Every
function may be cut off at any instant and called again.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from insight_edge.bundle.durable import storing
from insight_edge.bundle.open import open_bundle, open_manifest
from insight_edge.bundle.slots import SLOTS, Slots
from insight_edge.errors import (
    DeniedError,
    DigestMismatchError,
    DocumentError,
    ExpiredError,
    GoneError,
    InsightEdgeError,
    RolledBackError,
    TamperedError,
    TrustError,
)
from insight_edge.fleet.transfer.incoming import incoming_dir
from insight_edge.fleet.update.events import FetchFailed, Restarted, StageFailed

_MAY_PASS = (ExpiredError, RolledBackError)
"""Trust may come with newer metadata: a cache between was behind, or the clock is mended."""


def stage(state: Path, deployment: Path, bundle: str) -> str:
    """Fill the idle slot of a deployment with a bundle that has come in; return the slot.

    Its manifest counts as accepted from then on, and its incoming directory is gone.

    Args:
        state: directory of the agent.
        deployment: state directory of the deployment.
        bundle: digest of a manifest that the trust check has accepted.

    Raises:
        TamperedError: what has come in is another bundle by now; the slot is empty.
        DocumentError: a file is missing or not the manifest's; the slot is as it was.
        StorageError: the disk is full or cannot be written; the slot is empty.
        SlotError: the slots cannot be read.
    """
    slots = Slots(deployment)
    slot = slots.idle
    if not _is_whole(slots, deployment, slot, bundle):
        _accept(slots, deployment, bundle)
        slots.stage(incoming_dir(state, bundle))
        _refuse_another(slots, deployment, slot, bundle)
    with storing(incoming_dir(state, bundle)):
        shutil.rmtree(incoming_dir(state, bundle), ignore_errors=True)
    return slot


def restarted(deployment: Path) -> Restarted:
    """Return what the update of a deployment is told when the agent begins.

    Raises:
        SlotError: the slots cannot be read.
        StorageError: their directory cannot be made.
    """
    held: dict[str, str] = {}
    for slot in SLOTS:
        with suppress(DocumentError):
            held[slot] = open_manifest(_slot(deployment, slot), allow_unsigned=True).digest
    return Restarted(Slots(deployment).committed, held)


def fetch_failed(bundle: str, error: InsightEdgeError, gained_bytes: int = 0) -> FetchFailed:
    """Return what an update is told when its manifest was refused or its files did not come.

    Args:
        bundle: its digest.
        error: that ended the attempt.
        gained_bytes: downloaded in it.
    """
    return FetchFailed(bundle, type(error).__name__, str(error), _is_final(error), gained_bytes)


def stage_failed(bundle: str, error: InsightEdgeError) -> StageFailed:
    """Return what an update is told when its slot could not be filled.

    What is missing or damaged among the files is fetched again.
    """
    final = isinstance(error, TrustError)
    return StageFailed(bundle, type(error).__name__, str(error), final)


def _is_final(error: InsightEdgeError) -> bool:
    """Return whether trying again at the same revision would not help."""
    if isinstance(error, TrustError):
        return not isinstance(error, _MAY_PASS)
    if isinstance(error, DocumentError):
        return not isinstance(error, DigestMismatchError)
    return isinstance(error, GoneError | DeniedError)


def _is_whole(slots: Slots, deployment: Path, slot: str, bundle: str) -> bool:
    """Return whether the slot holds the bundle, accepted and every byte of it."""
    if bundle not in slots.accepted:
        return False
    with suppress(DocumentError, TrustError):
        path = _slot(deployment, slot)
        return open_bundle(path, allow_unsigned=False, accepted={bundle}).digest == bundle
    return False


def _accept(slots: Slots, deployment: Path, bundle: str) -> None:
    """Write the bundle down as accepted, right after the committed one.

    Only so many are remembered. Bundles that come and never stay must not push out the one that
    a host opens after a restart.
    """
    committed = slots.committed
    if committed is not None:
        with suppress(DocumentError, TrustError):
            path, accepted = _slot(deployment, committed), slots.accepted
            slots.accept(open_manifest(path, allow_unsigned=False, accepted=accepted).digest)
    slots.accept(bundle)


def _refuse_another(slots: Slots, deployment: Path, slot: str, bundle: str) -> None:
    found = open_manifest(_slot(deployment, slot), allow_unsigned=True).digest
    if found != bundle:
        slots.clear(slot)
        raise TamperedError(f"{bundle} was to be staged, {found} came in its place")


def _slot(deployment: Path, slot: str) -> Path:
    return deployment / "slots" / slot
