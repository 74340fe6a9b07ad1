# SPDX-License-Identifier: Apache-2.0
"""Source `folder`: the files that a camera or another program puts into a folder.

`folder:PATH?after=keep|delete|move:PATH&old=take|skip&poll=S&match=*.png`

A file is taken when it has not changed between two looks; so one that is being written is not
taken in parts; one that is written with pauses should be renamed into the folder. Hidden files and
those within folders are left alone. Oldest first, by the time of the last change, then by name. A
file that is replaced is taken again. `after` is done to a file once it is answered or dropped: one
that waits when the feed ends is there the next time.
"""

import fnmatch
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

from insight_edge.errors import ConfigurationError
from insight_edge.runtime.logs import logger
from insight_edge.streaming.seam import Asked, Item, Rest, nothing

MAX_FILE_BYTES = 256 * 2**20
POLL_S = 0.2
TICK_S = 2.0
"""The time of a folder's last change may be as coarse: so long it is listed at each look."""


class _State(NamedTuple):
    changed_ns: int
    length_bytes: int


class FolderSource:
    """Files of one folder.

    Raises:
        ConfigurationError: there is no such folder, or an option cannot be meant.
    """

    def __init__(self, asked: Asked) -> None:
        self._folder = Path(asked.place)
        if not self._folder.is_dir():
            raise ConfigurationError(f"{self._folder}: no such folder")
        self._poll_s = asked.number("poll", POLL_S, least=0.01)
        self._match = asked.text("match", "*")
        self._skips = asked.text("old", "take", one_of=("take", "skip")) == "skip"
        self._over = _afterwards(asked.text("after", "keep"))
        asked.refuse_others()
        self._taken: dict[str, _State] = {}
        self._listed_ns = -1
        if self._skips:
            self._taken = self._look()

    def items(self, rest: Rest) -> Generator[Item | None, None, None]:
        """Yield files as they come, for ever."""
        before: dict[str, _State] = {}
        while True:
            if self._may_have_changed() or before:
                found = self._look()
                self._taken = {name: s for name, s in self._taken.items() if name in found}
                yield from self._settled(found, before)
                before = {n: s for n, s in found.items() if self._taken.get(n) != s}
            yield None
            rest(self._poll_s)

    def _settled(
        self, found: dict[str, _State], before: dict[str, _State]
    ) -> Generator[Item | None, None, None]:
        new = [n for n, s in found.items() if s == before.get(n) and self._taken.get(n) != s]
        for name in sorted(new, key=lambda each: (found[each].changed_ns, each)):
            path = self._folder / name
            try:
                value = _read(path)
            except FileNotFoundError:
                continue
            finally:
                self._taken[name] = found[name]
            if value is not None:
                yield Item(name, value, over=self._done(path))

    def _done(self, path: Path) -> Callable[[], None]:
        over = self._over
        return nothing if over is None else lambda: _try(over, path)

    def _may_have_changed(self) -> bool:
        """Return whether to list it: thousands of files that were seen are not looked at again."""
        changed_ns = self._folder.stat().st_mtime_ns
        recent = time.time_ns() - changed_ns < TICK_S * 1e9
        changed, self._listed_ns = changed_ns != self._listed_ns, changed_ns
        return changed or recent

    def _look(self) -> dict[str, _State]:
        found = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not fnmatch.fnmatch(entry.name, self._match):
                    continue
                try:
                    if entry.is_file():
                        told = entry.stat()
                        found[entry.name] = _State(told.st_mtime_ns, told.st_size)
                except FileNotFoundError:
                    continue
        return found


def _read(path: Path) -> bytes | None:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        logger(__name__).warning("%s: longer than %d bytes, left alone", path, MAX_FILE_BYTES)
        return None
    return data


def _afterwards(words: str) -> Callable[[Path], object] | None:
    """Return what is done to a file that is over; None for nothing."""
    if words == "keep":
        return None
    if words == "delete":
        return Path.unlink
    what, _, where = words.partition(":")
    if what != "move" or not Path(where).is_dir():
        raise ConfigurationError(
            f"after={words}", hint="keep, delete, or move: and a folder that is there"
        )
    return lambda path: path.rename(Path(where) / path.name)


def _try(over: Callable[[Path], object], path: Path) -> None:
    try:
        over(path)
    except OSError as error:
        logger(__name__).warning("%s: %s", path, error.strerror or error)
