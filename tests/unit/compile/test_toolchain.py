# SPDX-License-Identifier: Apache-2.0
"""A toolchain is where its lock says, in the versions it pins, or missing with how to get it."""

import sys
from pathlib import Path

import pytest

from insight_edge.compile.toolchains import environments
from insight_edge.compile.toolchains.environments import environment_names, lock_digest
from insight_edge.compile.toolchains.toolchain import Toolchain, toolchain_apart, toolchain_here
from insight_edge.documents.facts import Missing


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where this environment seems to be, with one lock of a toolchain."""
    locks = tmp_path / "locks"
    locks.mkdir()
    lock = "# settled\nacme-compiler==2.1.0.post1\nacme_ffi==0.3 ; python_version < '4'\n"
    (locks / "toolchain-acme.txt").write_text(lock)
    (locks / "main.txt").write_text("numpy==2.4\n")
    monkeypatch.setattr(environments, "shipped_folder", lambda _: locks)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path


def pretend(prefix: Path) -> Path:
    """Leave what an installation leaves last."""
    folder = prefix / "environments" / "toolchain-acme"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / "lock.digest").write_text(lock_digest("toolchain-acme"))
    return folder / "bin" / "python"


@pytest.mark.usefixtures("prefix")
def test_toolchains_are_environments_and_the_workshop_is_none() -> None:
    assert environment_names() == ("toolchain-acme",)


@pytest.mark.usefixtures("prefix")
def test_toolchain_that_is_not_installed_says_how_to_get_it() -> None:
    found = toolchain_apart("acme", ["acme-compiler"])
    assert isinstance(found, Missing)
    assert found.reason == (
        "the environment 'toolchain-acme' is not installed "
        "(insight-edge toolchain install toolchain-acme)"
    )


def test_toolchain_apart_has_its_interpreter_and_the_versions_of_its_lock(prefix: Path) -> None:
    python = pretend(prefix)
    found = toolchain_apart("acme", ["acme-compiler", "acme_ffi"])
    assert found == Toolchain(
        versions={"acme-compiler": "2.1.0.post1", "acme_ffi": "0.3"},
        python=str(python),
        lock=lock_digest("toolchain-acme"),
    )


def test_package_that_the_lock_does_not_pin_is_a_mistake_of_the_backend(prefix: Path) -> None:
    pretend(prefix)
    with pytest.raises(KeyError, match="acme-tuner"):
        toolchain_apart("acme", ["acme-tuner"])


def test_toolchain_here_names_what_is_installed_or_what_is_not() -> None:
    found = toolchain_here("numbers", ["numpy"])
    assert isinstance(found, Toolchain)
    assert found.python == sys.executable
    missing = toolchain_here("numbers", ["numpy", "no-such-distribution"])
    assert missing == Missing(
        name="numbers", reason="package no-such-distribution is not installed"
    )
