# SPDX-License-Identifier: Apache-2.0
"""The hardware profiles that this installation knows: the shipped ones and its own."""

from pathlib import Path

from insight_edge.compile.profiles import read_profile, shipped_profiles
from insight_edge.documents.profile import HardwareProfile
from insight_edge.errors import ConfigurationError


def known_profiles(own: Path) -> dict[str, HardwareProfile]:
    """Return profiles by id; a TOML file in the folder `own` adds one.

    Raises:
        ConfigurationError: a file cannot be read, or its id is taken.
        DocumentError: a file is malformed.
    """
    found = shipped_profiles()
    for path in sorted(own.glob("*.toml")):
        profile = read_profile(path)
        if profile.id in found:
            raise ConfigurationError(f"{path}: there is a profile '{profile.id}' already")
        found[profile.id] = profile
    return found
