# SPDX-License-Identifier: Apache-2.0
"""The toolchain of a backend: which interpreter has it, and the versions that builds depend on.

It is in this very environment, or in a locked one of its own, `toolchain-<name>`,
so that compilers never fight over numpy or protobuf. Nothing is imported to know.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from insight_edge.compile.toolchains.environments import environment_python, lock_digest, lock_text
from insight_edge.documents.facts import Missing
from insight_edge.errors import ToolchainMissingError

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """What a build runs in.

    Attributes:
        versions: by distribution, of those that change the bytes of an artifact.
        python: interpreter that can import them.
        lock: digest of the lock that the interpreter's environment was made from; empty where it
            is the workshop's own, which has none.
        code: digest of our own code that builds with it; None for the code here.
        machine: architecture and extensions of the machine that has it; None for this one.
    """

    versions: dict[str, str]
    python: str = sys.executable
    lock: str = ""
    code: str | None = None
    machine: tuple[str, ...] | None = None


def toolchain_here(name: str, distributions: Sequence[str]) -> Toolchain | Missing:
    """Return the toolchain that is installed in this environment, or what of it is not."""
    versions = {}
    for distribution in distributions:
        try:
            versions[distribution] = version(distribution)
        except PackageNotFoundError:
            return Missing(name=name, reason=f"package {distribution} is not installed")
    return Toolchain(versions=versions)


def toolchain_apart(name: str, distributions: Sequence[str]) -> Toolchain | Missing:
    """Return the toolchain of the environment `toolchain-<name>`, or how to install that.

    Raises:
        KeyError: the lock does not pin one of the distributions.
    """
    environment = f"toolchain-{name}"
    try:
        python = environment_python(environment)
    except ToolchainMissingError as error:
        return Missing(name=name, reason=f"{error} ({error.hint})")
    pins = dict(_PIN.findall(lock_text(environment)))
    return Toolchain(
        versions={name: pins[name] for name in distributions},
        python=str(python),
        lock=lock_digest(environment),
    )
