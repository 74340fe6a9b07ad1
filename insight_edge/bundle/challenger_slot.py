# SPDX-License-Identifier: Apache-2.0
"""The slot of a challenger: a third place for a bundle, which nothing ever serves from.

    <state_dir>/challenger/           a bundle, or nothing
    <state_dir>/challenger.accepted   its digest, once the agent's trust check has accepted it

The two slots of `slots` and what is accepted for them are not touched, so no challenger takes
the place of a bundle that is served after a restart, nor that of its acceptance.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from insight_edge.bundle.durable import replace_file, sibling, storing, sync_directory
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.bundle.write import copy_bundle
from insight_edge.errors import DocumentError, SlotError, TrustError


class ChallengerSlot:
    """The slot under a state directory; one process fills it."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "challenger"
        self._accepted = state_dir / "challenger.accepted"

    def bundle(self, *, allow_unsigned: bool) -> Bundle:
        """Return the opened bundle; signed where its manifest was accepted.

        Raises:
            SlotError: the slot is empty.
            TrustError, DocumentError: as `open_bundle`.
        """
        if not os.path.lexists(self._path):
            raise SlotError("the challenger's slot is empty")
        accepted = self._read()
        return open_bundle(self._path, allow_unsigned=allow_unsigned, accepted=accepted)

    @property
    def held(self) -> str | None:
        """Digest of the bundle that lies here, accepted and every byte of it."""
        with suppress(DocumentError, TrustError, SlotError):
            return self.bundle(allow_unsigned=False).digest
        return None

    def stage(self, path: Path, digest: str) -> None:
        """Copy a bundle here, every digest compared; its manifest has been accepted.

        Raises:
            UnsignedError: it is another bundle than the one with this digest.
            StorageError: the disk is full or cannot be written; the slot is empty.
            DocumentError: the bundle is malformed, as `open_bundle`.
        """
        bundle = open_bundle(path, allow_unsigned=False, accepted={digest})
        self.clear()
        copy_bundle(bundle, self._path)
        replace_file(self._accepted, f"{digest}\n".encode())

    def clear(self) -> None:
        """Empty the slot.

        Raises:
            StorageError: it cannot be removed.
        """
        with storing(self._path):
            self._accepted.unlink(missing_ok=True)
            if os.path.lexists(self._path):
                self._path.rename(sibling(self._path))
                sync_directory(self._path.parent)
            for left in self._path.parent.glob(f".{self._path.name}.*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _read(self) -> set[str]:
        try:
            return {self._accepted.read_text(encoding="ascii", errors="replace").strip()}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise SlotError(f"{self._accepted}: cannot be read: {error.strerror}") from error
