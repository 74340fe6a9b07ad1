# SPDX-License-Identifier: Apache-2.0
"""Two slots on a device: one committed, one idle, and a counter of boots.

    <state_dir>/slots/a/    a bundle, or nothing
    <state_dir>/slots/b/    a bundle, or nothing
    <state_dir>/slots/a.cache, b.cache   what the host's engine compiled of it, or nothing
    <state_dir>/committed   the slot that is served after a restart
    <state_dir>/boot        how often a host has started
    <state_dir>/accepted    digests of manifests that the agent's trust check has accepted

A slot holds a whole bundle or nothing, at every instant: it is filled and
emptied by one rename. The committed slot is never filled or emptied. One process
stages and commits; one process counts boots.

This module does not decide when to commit (the agent does) or whom to believe
(the agent's trust check does; what it accepted is written down here, so that a
host needs no cryptography to open a slot as signed).
"""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from insight_edge.bundle.challenger_slot import ChallengerSlot
from insight_edge.bundle.durable import replace_file, sibling, storing, sync_directory
from insight_edge.bundle.open import Bundle, open_bundle, open_manifest
from insight_edge.bundle.write import copy_bundle
from insight_edge.errors import DocumentError, SlotError

SLOTS: Final = ("a", "b")

MAX_ACCEPTED = 8
"""Digests remembered; more than two slots can hold, so that a restored one is among them."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Slots:
    """The slots under a state directory.

    Attributes:
        challenger: the third one, which nothing is served from.

    Raises:
        StorageError: the directory cannot be made.
    """

    def __init__(self, state_dir: Path | str) -> None:
        self._state = Path(state_dir)
        self._slots = self._state / "slots"
        self.challenger = ChallengerSlot(self._state)
        with storing(self._slots):
            self._slots.mkdir(parents=True, exist_ok=True)

    @property
    def committed(self) -> str | None:
        """The slot that is served after a restart, or None before the first commit.

        Raises:
            SlotError: what is written there is not a slot.
        """
        text = self._read("committed")
        if text is None or text in SLOTS:
            return text
        raise SlotError(f"{self._state / 'committed'}: {text[:20]!r} is not a slot")

    @property
    def idle(self) -> str:
        """The slot that the next bundle is staged in.

        Raises:
            SlotError: as `committed`.
        """
        return "b" if self.committed == "a" else "a"

    def stage(self, bundle_path: Path | str) -> str:
        """Copy a bundle into the idle slot, compare every digest, and return the slot.

        What the slot held before is gone. Nothing is believed here: a signature
        is asked for when the slot is opened.

        Raises:
            StorageError: the disk is full or cannot be written; the slot is empty.
            SlotError: as `committed`.
            DocumentError: the bundle is malformed, as `open_bundle`.
        """
        slot = self.idle
        bundle = open_bundle(bundle_path, allow_unsigned=True)
        self.clear(slot)
        copy_bundle(bundle, self._slots / slot)
        return slot

    def bundle(self, slot: str, *, allow_unsigned: bool) -> Bundle:
        """Return the opened bundle in a slot; signed where its manifest was accepted.

        Raises:
            SlotError: the slot is empty, or there is no such slot.
            TrustError, DocumentError: as `open_bundle`.
        """
        path = self._filled(slot)
        bundle = open_bundle(path, allow_unsigned=allow_unsigned, accepted=self.accepted)
        return replace(bundle, cache=self._cache(slot))

    @property
    def accepted(self) -> tuple[str, ...]:
        """Digests of manifests that were accepted, the newest last; what is none is left out.

        Raises:
            SlotError: it cannot be read.
        """
        return tuple(line for line in (self._read("accepted") or "").split() if _is_digest(line))

    def accept(self, manifest_digest: str) -> None:
        """Write down that a manifest was accepted, so that hosts open it as signed.

        Raises:
            ValueError: it is not a digest.
            SlotError: what was accepted before cannot be read.
            StorageError: the disk is full or cannot be written.
        """
        if not _is_digest(manifest_digest):
            raise ValueError(f"{manifest_digest[:80]!r} is not a digest")
        others = [known for known in self.accepted if known != manifest_digest]
        self._write("accepted", "\n".join([*others, manifest_digest][-MAX_ACCEPTED:]))

    def commit(self, slot: str) -> None:
        """Serve this slot after a restart.

        Raises:
            SlotError: the slot is empty or does not hold a whole bundle.
            StorageError: the disk is full or cannot be written; the old slot stays committed.
        """
        path = self._filled(slot)
        try:
            open_manifest(path, allow_unsigned=True)
        except DocumentError as error:
            raise SlotError(f"slot {slot} does not hold a whole bundle: {error}") from error
        self._write("committed", slot)

    def clear(self, slot: str) -> None:
        """Empty a slot, and sweep up what a crash has left beside it.

        Raises:
            SlotError: it is the committed slot, or there is no such slot.
            StorageError: it cannot be removed.
        """
        path = self._path(slot)
        if slot == self.committed:
            raise SlotError(f"slot {slot} is committed", hint="commit the other slot first")
        with storing(path):
            if os.path.lexists(path):
                path.rename(sibling(path))
                sync_directory(self._slots)
            self._cache(slot).unlink(missing_ok=True)
            for left in self._slots.glob(f".{slot}.*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def next_boot(self) -> int:
        """Count one boot and return it, from 1; no number is ever returned twice.

        Raises:
            SlotError: the counter is not a number.
            StorageError: it cannot be written.
        """
        text = self._read("boot") or "0"
        if not (text.isascii() and text.isdigit()):
            raise SlotError(f"{self._state / 'boot'}: {text[:20]!r} is not a number")
        boot = int(text) + 1
        self._write("boot", str(boot))
        return boot

    def _read(self, name: str) -> str | None:
        path = self._state / name
        try:
            return path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SlotError(f"{path}: cannot be read: {error.strerror}") from error

    def _write(self, name: str, text: str) -> None:
        path = self._state / name
        with storing(path):
            for left in self._state.glob(f".{name}.*"):
                left.unlink()
        replace_file(path, f"{text}\n".encode())

    def _path(self, slot: str) -> Path:
        if slot not in SLOTS:
            raise SlotError(f"there is no slot {slot[:20]!r}", hint=f"one of {', '.join(SLOTS)}")
        return self._slots / slot

    def _cache(self, slot: str) -> Path:
        return self._slots / f"{slot}.cache"

    def _filled(self, slot: str) -> Path:
        path = self._path(slot)
        if not os.path.lexists(path):
            raise SlotError(f"slot {slot} is empty")
        return path


def _is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None
