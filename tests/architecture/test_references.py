# SPDX-License-Identifier: Apache-2.0
"""Modules of the compiler that prose names lie where it says."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EDGE = ROOT / "insight_edge"
NAMED = re.compile(r"`(compile(?:\.\w+)+)`|`(?:insight_edge/)?(compile/[\w/]+)\.py`")


def prose() -> list[Path]:
    folders = ("insight_edge", "cloud", "benchmarks", "conformance", "zoo", "tests")
    modules = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [*modules, *ROOT.glob("*.md"), *(ROOT / "docs" / "guides").glob("*.md")]


def is_there(name: str) -> bool:
    """Return whether a module, a room or a name inside a module is there."""
    place = EDGE / name.replace(".", "/")
    inside = place.parent.with_suffix(".py")
    written = inside.exists() and re.search(rf"\b{place.name}\b", inside.read_text())
    return place.with_suffix(".py").exists() or place.is_dir() or bool(written)


def test_modules_that_prose_names_are_there() -> None:
    named = [
        (path.relative_to(ROOT).as_posix(), found[1] or found[2])
        for path in prose()
        for found in NAMED.finditer(path.read_text())
    ]
    assert len(named) > 50
    assert [one for one in named if not is_there(one[1])] == []
