# SPDX-License-Identifier: Apache-2.0
"""Where this installation keeps its things, and the few figures it is run with, from four layers.

Defaults < a TOML file < `INSIGHT_CLOUD_*` environment variables < flags. Built
once, by the composition root; nothing else reads the environment.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from insight_edge.errors import ConfigurationError

PREFIX = "INSIGHT_CLOUD_"
"""Environment variables with this prefix are settings, and nothing else may have it."""

SETTINGS_FILE = "insight-cloud.toml"
"""Read from the working directory where it exists."""


_WHOLE: Final = re.compile("[0-9]{1,18}", re.ASCII)

NUMBERS: Final = {"segment_rows": (1, 10**9)}
"""Settings that are whole numbers, each with its least and its most; all others are paths."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Paths and figures of one installation.

    Attributes:
        state: the folder that holds everything not placed elsewhere.
        database: the SQLite file; None is `cloud.sqlite` in `state`.
        blobs: the folder of the blob store; None is `blobs` in `state`.
        keys: the folder of the signing keys; None is `keys` in `state`.
        segment_rows: observed rows of one bundle that are compared with its reference at a time.
    """

    state: Path = Path(".insight-cloud")
    database: Path | None = None
    blobs: Path | None = None
    keys: Path | None = None
    segment_rows: int = 200

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.database or self.state / "cloud.sqlite"

    @property
    def blobs_path(self) -> Path:
        """The folder of the blob store."""
        return self.blobs or self.state / "blobs"

    @property
    def keys_path(self) -> Path:
        """The folder of the signing keys."""
        return self.keys or self.state / "keys"

    @property
    def repository_path(self) -> Path:
        """The folder of the update repository, as it is served."""
        return self.state / "tuf"

    @property
    def log_path(self) -> Path:
        """The folder of the prediction log."""
        return self.state / "predictions"

    @property
    def profiles_path(self) -> Path:
        """The folder of this installation's own hardware profiles."""
        return self.state / "profiles"


def load_settings(
    file: Path, environment: Mapping[str, str], flags: Mapping[str, Path | None]
) -> Settings:
    """Return the settings of this installation; a file that does not exist adds nothing.

    Raises:
        ConfigurationError: the file cannot be read or is not TOML, or `merge_settings` refuses.
    """
    try:
        written = tomllib.loads(file.read_text("utf-8")) if file.exists() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
    return merge_settings(written, environment, flags)


def merge_settings(
    written: Mapping[str, object],
    environment: Mapping[str, str],
    flags: Mapping[str, Path | None],
) -> Settings:
    """Return the defaults overlaid by a file's keys, then the environment, then flags.

    Args:
        written: the keys of the TOML file.
        environment: all of it; variables without `PREFIX` are not looked at.
        flags: a flag that was not given is None.

    Raises:
        ConfigurationError: a key is unknown (with the nearest name), or a value is no path or no
            whole number where it has to be.
    """
    layers: dict[str, object] = {}
    for key, value in written.items():
        layers[_known(key, SETTINGS_FILE, str)] = value
    for name, value in environment.items():
        if name.startswith(PREFIX):
            layers[_known(name, "the environment", _variable)] = value
    layers |= {key: value for key, value in flags.items() if value is not None}
    values: dict[str, Any] = {key: _typed(key, value) for key, value in layers.items()}
    return Settings(**values)


def _variable(key: str) -> str:
    return PREFIX + key.upper()


def _known(written: str, origin: str, spelling: Callable[[str], str]) -> str:
    keys = {spelling(field.name): field.name for field in fields(Settings)}
    if written in keys:
        return keys[written]
    near = get_close_matches(written, keys, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(keys)}"
    raise ConfigurationError(f"unknown setting '{written}' in {origin}", hint=hint)


def _typed(key: str, value: object) -> Path | int:
    return _number(key, value) if key in NUMBERS else _path(key, value)


def _path(key: str, value: object) -> Path:
    if not isinstance(value, (str, Path)) or not str(value):
        raise ConfigurationError(f"setting '{key}' must be a path, not {value!r}")
    return Path(value)


def _number(key: str, value: object) -> int:
    """Return a number as a file has it, or as the text that a variable is."""
    least, most = NUMBERS[key]
    text = value if isinstance(value, str) else ""
    number = int(text) if _WHOLE.fullmatch(text) else value
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise ConfigurationError(
            f"setting '{key}' must be a whole number from {least} to {most}, not {repr(value)[:80]}"
        )
    return number
