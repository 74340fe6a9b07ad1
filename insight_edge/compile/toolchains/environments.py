# SPDX-License-Identifier: Apache-2.0
"""Environments of their own, pinned by a lock: what a device has, what a compiler needs.

    device-<engine>     what a device has; evidence is taken in it, not in the workshop's: an
                        artifact that needs a newer library than the device has fails here
    toolchain-<name>    compilers and converters that fight with others over their dependencies

An environment holds what `locks/<name>.txt` pins, what that takes in with `-r`, and
by link this very package with its entry points; nothing else of the workshop can be
imported in it. It lives under the environment it was made from and goes with it.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

import insight_edge
from insight_edge.compile.toolchains.shipped import shipped_folder
from insight_edge.errors import ConfigurationError, ToolchainMissingError

INSTALL_TIMEOUT_S = 1800

_KINDS = ("device-", "toolchain-")

_SHARED = "-r "
_PIN = re.compile(r"^\S.*\n(?:[ \t].*\n)*", re.MULTILINE)
"""A package with its version and, on indented lines, its hashes."""


def environment_names() -> tuple[str, ...]:
    """Return the names of all environments that have a lock, sorted."""
    locks = (path.stem for path in shipped_folder("locks").glob("*.txt"))
    return tuple(sorted(name for name in locks if name.startswith(_KINDS)))


def lock_digest(name: str) -> str:
    """Return `sha256:…` of a lock.

    Raises:
        ConfigurationError: there is no lock of this name.
    """
    return "sha256:" + hashlib.sha256(lock_text(name).encode()).hexdigest()


def lock_text(name: str) -> str:
    """Return what a lock pins, with what it shares with others in its place.

    Raises:
        ConfigurationError: there is no lock of this name.
    """
    lock = _lock(name)
    first, _, own = lock.read_text().partition("\n")
    if not first.startswith(_SHARED):
        return lock.read_text()
    shared = lock.with_name(first.removeprefix(_SHARED)).read_text()
    pins = _PIN.findall(shared) + _PIN.findall(own)
    return "".join(sorted(pins, key=lambda pin: pin.partition("==")[0]))


def environment_python(name: str) -> Path:
    """Return the interpreter of an installed environment.

    Raises:
        ConfigurationError: there is no lock of this name.
        ToolchainMissingError: it is not installed, or its lock has changed since.
    """
    digest = lock_digest(name)
    python = _folder(name) / "bin" / "python"
    hint = f"insight-edge toolchain install {name}"
    if not python.exists() or not _stamp(name).exists():
        raise ToolchainMissingError(f"the environment '{name}' is not installed", hint=hint)
    if _stamp(name).read_text() != digest:
        raise ToolchainMissingError(f"the environment '{name}' is of an older lock", hint=hint)
    return python


def device_python(engine: str) -> Path | None:
    """Return the interpreter of an engine's device environment, None where there is none."""
    try:
        return environment_python(f"device-{engine}")
    except (ConfigurationError, ToolchainMissingError):
        return None


def install_environment(name: str) -> Path:
    """Make an environment anew from its lock and return its interpreter.

    Raises:
        ConfigurationError: there is no lock of this name.
        ToolchainMissingError: pip could not install what the lock names.
    """
    lock, folder = _lock(name), _folder(name)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder)
    python = folder / "bin" / "python"
    _pip_install(python, lock)
    _link_package(folder)
    _stamp(name).write_text(lock_digest(name))
    return python


def _pip_install(python: Path, lock: Path) -> None:
    """Install exactly what a lock names: it is whole, and settles what packages disagree about.

    With the pip of this environment, and without compiling thousands of files that are never read.
    """
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
    exactly = ("--no-deps", "--ignore-requires-python", "--requirement", str(lock))
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", *exactly],
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise ToolchainMissingError(
            f"pip could not install {lock.name}: {' '.join(last)}",
            hint="check that this machine reaches a package index",
        )


def _link_package(folder: Path) -> None:
    """Make this package and its entry points, and nothing beside them, importable there."""
    links = folder / "linked"
    links.mkdir()
    (links / "insight_edge").symlink_to(Path(insight_edge.__file__).resolve().parent)
    metadata = Path(str(distribution("insight-edge").locate_file("."))).resolve()
    found = next(metadata.glob("insight_edge-*.dist-info"), None)
    if found is None:
        raise ToolchainMissingError(
            "insight-edge is not installed, only importable", hint="pip install insight-edge"
        )
    (links / found.name).symlink_to(found)
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    (packages / "insight_edge.pth").write_text(f"{links.resolve()}\n")


def _lock(name: str) -> Path:
    lock = shipped_folder("locks") / f"{name}.txt"
    if name not in environment_names():
        known = ", ".join(environment_names())
        raise ConfigurationError(f"no lock is named '{name}'", hint=f"known: {known}")
    return lock


def _folder(name: str) -> Path:
    return Path(sys.prefix) / "environments" / name


def _stamp(name: str) -> Path:
    return _folder(name) / "lock.digest"
