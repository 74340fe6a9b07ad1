# SPDX-License-Identifier: Apache-2.0
"""A digest of the code that a build runs: a backend's module and all that these import of ours.

Imports are read from the text, so nothing is imported and too much is taken rather
than too little: what is imported for a type, or within a function, counts as
well. Whoever edits a backend in a checkout gets new builds; a release that does
not touch one keeps those that are there. Other packages are pinned by version,
not read.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

CHILD = "insight_edge.compile.building.child"
"""Runs every build."""

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)"
    r"|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)
_NAME = re.compile(r"[\w.]+")


@cache
def code_digest(plugin: str) -> str:
    """Return `sha256:…` of the code of a plug-in `module:Class`, empty where there is none.

    Asked once a process: what a build imports is found then.
    """
    module = plugin.partition(":")[0]
    folders = {name: _folder(name) for name in (_top(module), _top(CHILD))}
    known = {name: folder for name, folder in folders.items() if folder is not None}
    if _top(module) not in known:
        return ""
    total = hashlib.sha256()
    for name, data in sorted(reached((module, CHILD), known).items()):
        total.update(f"{name} {len(data)}\n".encode() + data)
    return f"sha256:{total.hexdigest()}"


def reached(modules: tuple[str, ...], folders: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the source of modules and of all that they import, by name of the module.

    Args:
        modules: to begin with; one that has no source is left out.
        folders: of the packages that are followed, by name; the file of one that is a file.
    """
    # Most of what an import names is no module: looking each up on the disk takes far longer.
    known = {k: path for top in folders for k, path in _modules(top, folders[top]).items()}
    found: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            found[name] = Path(known[name]).read_bytes()
            text = found[name].decode(errors="replace")
            waiting += imported(text, name, is_package=known[name].endswith("__init__.py"))
    return found


def imported(text: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the names of what a module's text imports: modules, and what may be modules in them."""
    for origin, names, plain in _IMPORT.findall(text):
        if plain:
            yield from (words.split()[0] for words in plain.split(",") if words.strip())
            continue
        place = _absolute(origin, module, is_package=is_package)
        yield place
        yield from (f"{place}.{name}" for name in _NAME.findall(names))


def _absolute(origin: str, module: str, *, is_package: bool) -> str:
    """Return what a `from` names, dots at its beginning resolved."""
    dots = len(origin) - len(origin.lstrip("."))
    if not dots:
        return origin
    parts = module.split(".")
    above = parts[: len(parts) - dots + (1 if is_package else 0)]
    return ".".join([*above, *filter(None, [origin[dots:]])])


@cache
def _modules(package: str, folder: Path) -> dict[str, str]:
    """Return the file of each module of a package."""
    if folder.is_file():
        return {package: str(folder)}
    found = {}
    for place, _, names in os.walk(folder):
        inside = place[len(str(folder)) :].replace(os.sep, ".")
        for name in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 (a path object takes ten times as long)
            if suffix == ".py":
                module = f"{package}{inside}" + ("" if stem == "__init__" else f".{stem}")
                found[module] = f"{place}/{name}"
    return found


def _folder(package: str) -> Path | None:
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = spec.submodule_search_locations or [spec.origin or ""]
    return Path(next(iter(places)))


def _top(module: str) -> str:
    return module.partition(".")[0]
