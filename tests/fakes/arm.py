# SPDX-License-Identifier: Apache-2.0
"""The emulated aarch64 of this machine, or the reason why tests of it are skipped."""

import platform
from pathlib import Path

import pytest

from insight_edge.bench.machine import machine_facts
from insight_edge.compile.profiles.reading import find_profile
from insight_edge.compile.targets.abroad import Abroad, abroad
from insight_edge.compile.targets.emulation import ARCH
from insight_edge.errors import ToolchainMissingError


def emulated(profile: str, place: Path, *engines: str) -> Abroad:
    """Return the profile's processor, emulated, with the environments of these engines."""
    found = abroad(find_profile(profile), machine_facts(), place)
    if found is None:
        pytest.skip(f"this machine is {platform.machine()}: nothing needs to be emulated")
    if isinstance(found.emulation, str):
        pytest.skip(f"{ARCH} is not emulated: {found.emulation}")
    for engine in engines:
        try:
            found.interpreter(engine)
        except ToolchainMissingError as error:
            pytest.skip(f"{error} ({error.hint})")
    return found
