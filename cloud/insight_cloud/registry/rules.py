# SPDX-License-Identifier: Apache-2.0
"""What a model, a version and an alias are, and what they may be called. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime

from insight_edge.errors import ConfigurationError

NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
SOURCE_ARTIFACT = "model.onnx"
"""The artifact that every version has; its digest is the version's."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file of a version; its bytes are the blob with this digest."""

    name: str
    digest: str
    length_bytes: int


@dataclass(frozen=True, kw_only=True)
class Model:
    """A name under which versions are counted.

    Attributes:
        versions: how many there are; the number of the newest too.
    """

    name: str
    task: str
    created: datetime
    versions: int


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One training of a model; nothing of it ever changes.

    Attributes:
        number: 1 for the first of a model, then one more each.
        digest: of the source model.
        metrics: what it was evaluated at, by name.
        artifacts: by name, sorted.
    """

    model: str
    number: int
    task: str
    digest: str
    metrics: dict[str, float]
    artifacts: tuple[Artifact, ...]
    created: datetime

    @property
    def label(self) -> str:
        """`digits:3`, as people write it."""
        return f"{self.model}:{self.number}"


def next_number(latest: int | None) -> int:
    """Return the number of the version after `latest`."""
    return 1 if latest is None else latest + 1


def check_name(kind: str, name: str) -> None:
    """Refuse what cannot be the name of a `kind` (a model, an artifact).

    Raises:
        ConfigurationError: it is not 1 to 63 lower-case letters, digits, `.`, `_` or `-`.
    """
    if NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"'{name}' cannot name {kind}",
            hint="use 1 to 63 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends",
        )


def check_alias(alias: str) -> None:
    """Refuse what cannot be an alias; digits alone would read as a version's number.

    Raises:
        ConfigurationError: it is no name, or it is a number.
    """
    check_name("an alias", alias)
    if alias.isdigit():
        raise ConfigurationError(f"alias '{alias}' reads as a version number")
