# SPDX-License-Identifier: Apache-2.0
"""An engine's own environment is there, whole and of today's lock, or it is missing."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from insight_edge.cli import main
from insight_edge.compile.toolchains import environments
from insight_edge.compile.toolchains.environments import (
    environment_names,
    environment_python,
    install_environment,
    lock_digest,
    lock_text,
)
from insight_edge.errors import ConfigurationError, ToolchainMissingError

NAME = "device-onnxruntime"


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where this environment seems to be, with nothing installed in it."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path


@pytest.fixture
def empty_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of locks that ask for nothing."""
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / f"{NAME}.txt").write_text("# nothing\n")
    monkeypatch.setattr(environments, "shipped_folder", lambda _: folder)
    return folder


def pretend(prefix: Path) -> Path:
    """Leave what an installation leaves last."""
    folder = prefix / "environments" / NAME
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / "lock.digest").write_text(lock_digest(NAME))
    return folder


def test_every_engine_has_a_lock_and_its_digest() -> None:
    names = environment_names()
    assert {"device-onnxruntime", "device-openvino"} <= set(names)
    digests = {lock_digest(name) for name in names}
    assert len(digests) == len(names)
    assert all(digest.startswith("sha256:") for digest in digests)


def test_lock_has_what_it_shares_with_others_in_its_place(empty_locks: Path) -> None:
    shared = "numpy==2 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\nopenvino==1\n"
    (empty_locks / "device.txt").write_text(shared)
    own = "openvino-telemetry==3\n    # via openvino\nblack==1\n"
    (empty_locks / f"{NAME}.txt").write_text(f"-r device.txt\n{own}")
    before = lock_digest(NAME)
    numpy, openvino = shared[: -len("openvino==1\n")], "openvino==1\n"
    telemetry, black = own[: -len("black==1\n")], "black==1\n"
    assert lock_text(NAME) == black + numpy + openvino + telemetry
    (empty_locks / "device.txt").write_text(numpy)
    assert lock_digest(NAME) != before
    assert environment_names() == (NAME,)


@pytest.mark.usefixtures("prefix")
def test_environment_that_is_not_installed_is_missing_and_says_how_to_get_it() -> None:
    with pytest.raises(ToolchainMissingError, match="not installed") as raised:
        environment_python(NAME)
    assert raised.value.hint == f"insight-edge toolchain install {NAME}"
    assert raised.value.exit_code == 4


def test_environment_is_missing_until_its_last_file_is_written(prefix: Path) -> None:
    folder = pretend(prefix)
    assert environment_python(NAME) == folder / "bin" / "python"
    (folder / "lock.digest").unlink()
    with pytest.raises(ToolchainMissingError, match="not installed"):
        environment_python(NAME)


def test_environment_of_an_older_lock_is_missing(prefix: Path) -> None:
    (pretend(prefix) / "lock.digest").write_text("sha256:old")
    with pytest.raises(ToolchainMissingError, match="of an older lock"):
        environment_python(NAME)


@pytest.mark.parametrize("name", ["device-nothing", "../../etc", "main", ""])
def test_name_without_a_lock_is_refused_with_those_there_are(name: str) -> None:
    for ask in (environment_python, lock_digest, install_environment):
        with pytest.raises(ConfigurationError, match="no lock is named") as raised:
            ask(name)
        assert raised.value.hint == f"known: {', '.join(environment_names())}"


@pytest.mark.slow
@pytest.mark.usefixtures("empty_locks")
def test_installed_environment_imports_this_package_and_nothing_of_the_workshop(
    prefix: Path,
) -> None:
    python = install_environment(NAME)
    assert environment_python(NAME) == python
    assert python.is_relative_to(prefix)
    code = (
        "import insight_edge, importlib.metadata as m, importlib.util as u;"
        "print(insight_edge.__file__, len(m.entry_points(group='insight_edge.engines')),"
        "u.find_spec('numpy'), u.find_spec('insight_cloud'), u.find_spec('tests'))"
    )
    done = subprocess.run(
        [python, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=prefix
    )
    place, engines, *absent = done.stdout.split()
    assert Path(place).resolve() == Path(main.__file__).resolve().parents[1] / "__init__.py"
    assert int(engines) >= 2
    assert absent == ["None", "None", "None"]


@pytest.mark.usefixtures("empty_locks")
def test_environment_that_pip_could_not_fill_stays_missing(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(folder: Path) -> None:
        (folder / "bin").mkdir(parents=True)
        python = folder / "bin" / "python"
        python.write_text("#!/bin/sh\necho 'ERROR: no such version' >&2\nexit 1\n")
        python.chmod(0o755)

    monkeypatch.setattr(venv, "create", create)
    with pytest.raises(ToolchainMissingError, match="ERROR: no such version") as raised:
        install_environment(NAME)
    assert "\n" not in str(raised.value)
    assert (prefix / "environments" / NAME / "bin").exists()
    with pytest.raises(ToolchainMissingError, match="not installed"):
        environment_python(NAME)
