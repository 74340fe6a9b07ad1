# SPDX-License-Identifier: Apache-2.0
"""What is installed, found without `importlib.metadata` and as it would be found with it."""

import subprocess
import sys
from importlib.metadata import distributions, entry_points, version
from pathlib import Path

import pytest

from insight_edge.runtime.installed import Plugin, plugins, release
from insight_edge.runtime.loading import GROUP


def declare(folder: Path, name: str, value: str) -> None:
    metadata = folder / f"{name}-1.5.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n\nText")
    (metadata / "entry_points.txt").write_text(
        f"[other]\nthing = other:Thing\n\n[{GROUP}]\n# said of it\n{name} = {value}\n"
    )


def test_engines_are_those_that_the_standard_library_finds() -> None:
    expected = {(point.name, point.value) for point in entry_points(group=GROUP)}
    assert set(plugins(GROUP)) == expected


def test_versions_are_those_that_the_standard_library_finds() -> None:
    for name in {each.name for each in distributions()}:
        assert release(name) == version(name)


@pytest.mark.parametrize("value", ["json:loads", "json : loads", "json:loads [extra]"])
def test_plugin_of_another_distribution_is_found_and_loaded(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(tmp_path, "plug_in", value)
    monkeypatch.syspath_prepend(tmp_path)
    found = next(each for each in plugins(GROUP) if each.name == "plug_in")
    assert found.load().__name__ == "loads"
    assert release("absent", "Plug.In") == "1.5"


def test_of_two_alike_the_first_on_the_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("second", "first"):
        (tmp_path / place).mkdir()
        declare(tmp_path / place, "plug", f"{place}:Engine")
        monkeypatch.syspath_prepend(tmp_path / place)
    assert Plugin("plug", "first:Engine") in plugins(GROUP)
    assert Plugin("plug", "second:Engine") not in plugins(GROUP)


def test_what_nobody_installed_has_no_version() -> None:
    assert release("no-such-distribution") is None


def test_runtime_brings_no_library_that_it_does_not_need() -> None:
    """Each of them is some hundred kilobytes to some megabytes of every device."""
    unwanted = ("importlib.metadata", "_hashlib", "zstandard", "logging", "email", "json", "random")
    code = (
        "import sys, numpy; known = set(sys.modules)\n"
        "import insight_edge.runtime\n"
        f"print([name for name in {unwanted} if name in set(sys.modules) - known])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
