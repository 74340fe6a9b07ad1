# SPDX-License-Identifier: Apache-2.0
"""What is installed, as the folders of metadata on the import path say.

`importlib.metadata` reads the same files, and brings a parser of e-mail along for
it: 3.7 MB that a device would carry for ever. It is asked all the same where
nothing is found so: an application in an archive, or with a finder of its own.
"""

import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

_FOLDERS = (".dist-info", ".egg-info")
_VERSION = re.compile(r"^Version:\s*(\S+)", re.MULTILINE)


class Plugin(NamedTuple):
    """One line under a group of entry points.

    Attributes:
        name: what it is found by.
        value: where it is, `module:attribute`.
    """

    name: str
    value: str

    def load(self) -> Any:
        """Import the module and return what the value names; whatever that raises leaves."""
        module, _, attribute = self.value.partition("[")[0].strip().partition(":")
        found = import_module(module.strip())
        for part in filter(None, attribute.strip().split(".")):
            found = getattr(found, part)
        return found


def plugins(group: str) -> tuple[Plugin, ...]:
    """Return what installed distributions declare under a group; of two alike, the first."""
    found: dict[str, Plugin] = {}
    for folder in _metadata():
        for plugin in _declared(_text(folder / "entry_points.txt"), group):
            found.setdefault(plugin.name, plugin)
    return tuple(found.values()) or _asked_plugins(group)


def release(*distributions: str) -> str | None:
    """Return the version of the first of these that is installed, None where none is."""
    folders: dict[str, Path] = {}
    for folder in _metadata():
        folders.setdefault(_name(folder), folder)
    for name in distributions:
        folder = folders.get(_normalised(name), Path())
        found = _VERSION.search(_text(folder / "METADATA") or _text(folder / "PKG-INFO"))
        if found is not None:
            return found[1]
    return next(filter(None, map(_asked_release, distributions)), None)


def _metadata() -> Iterator[Path]:
    """Yield the folders of metadata, those that are imported from first ahead."""
    for entry in dict.fromkeys(sys.path):
        try:
            names = os.listdir(entry or ".")  # noqa: PTH208 (a path for each of hundreds is slow)
        except OSError:  # not there, or an archive
            continue
        yield from (Path(entry, name) for name in sorted(names) if name.endswith(_FOLDERS))


def _declared(text: str, group: str) -> Iterator[Plugin]:
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield Plugin(name.strip(), value.strip())


def _name(folder: Path) -> str:
    # The folder of an egg may be without its version.
    return _normalised(folder.stem.rpartition("-")[0] or folder.stem)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _asked_plugins(group: str) -> tuple[Plugin, ...]:
    from importlib.metadata import entry_points

    return tuple(Plugin(point.name, point.value) for point in entry_points(group=group))


def _asked_release(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
