# SPDX-License-Identifier: Apache-2.0
"""Open the installation that a verb is about; settings are read here and nowhere else."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_cloud.installation import Installation, open_installation
from insight_cloud.platform.settings import SETTINGS_FILE, Settings, load_settings

State = Annotated[Path | None, Parameter(name=["--state"])]
"""Folder of this installation."""


def settings_of(state: Path | None) -> Settings:
    """Return the settings of this installation.

    Raises:
        ConfigurationError: a file, variable or flag cannot be meant.
    """
    return load_settings(Path(SETTINGS_FILE), os.environ, {"state": state})


@contextmanager
def opened(state: Path | None) -> Iterator[Installation]:
    """Give the installation, closed at the end; raises as `open_installation`."""
    with open_installation(settings_of(state)) as cloud:
        yield cloud


def whoever() -> str:
    """Return how the audit trail names whoever calls a verb on the server itself."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):  # a container may run as a number that has no name
        return f"local:{os.getuid()}"
