# SPDX-License-Identifier: Apache-2.0
"""The hardware profiles that this installation knows: the shipped ones and its own."""

from functools import cache
from pathlib import Path

from insight_cloud.platform.errors import NotFoundError
from insight_edge.compile.profiles.reading import read_profile, shipped_profiles
from insight_edge.documents.profile import HardwareProfile
from insight_edge.errors import ConfigurationError


def known_profiles(own: Path) -> dict[str, HardwareProfile]:
    """Return profiles by id; a TOML file in the folder `own` adds one.

    Raises:
        ConfigurationError: a file cannot be read, or its id is taken.
        DocumentError: a file is malformed.
    """
    found = dict(_shipped())
    for path in sorted(own.glob("*.toml")):
        profile = read_profile(path)
        if profile.id in found:
            raise ConfigurationError(f"{path}: there is a profile '{profile.id}' already")
        found[profile.id] = profile
    return found


@cache
def _shipped() -> dict[str, HardwareProfile]:
    """Return what is shipped, which no process sees change; reading it takes a twentieth second."""
    return shipped_profiles()


def profile_source(own: Path, profile: str) -> str:
    """Return what the compiler is told: the id of a shipped profile, the file of an own one.

    Raises:
        NotFoundError: there is no such profile.
        ConfigurationError, DocumentError: an own file cannot be read.
    """
    for path in sorted(own.glob("*.toml")):
        if read_profile(path).id == profile:
            return str(path.absolute())
    if profile in _shipped():
        return profile
    raise NotFoundError(f"there is no hardware profile '{profile}'")
