# SPDX-License-Identifier: Apache-2.0
"""Temporary directories that stay: in the child of a build that keeps what it leaves behind.

`KeptDirectory` takes the place of the standard library's, for all that a
toolchain's libraries make as well. It loads nothing.
"""

import tempfile
from itertools import count
from pathlib import Path

_COUNT = count(1)


class KeptDirectory:
    """Takes the place of `tempfile.TemporaryDirectory` and removes nothing."""

    def __init__(
        self,
        suffix: str | None = None,
        prefix: str | None = None,
        dir: str | None = None,  # noqa: A002 (the standard library's name)
        **_: bool,
    ) -> None:
        words = f"{prefix or ''}{suffix or ''}".strip("._-")
        name = f"{next(_COUNT)}{f'-{words}' if words else ''}"
        place = Path(dir or tempfile.gettempdir()) / name
        place.mkdir(parents=True)
        self.name = str(place)

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *_: object) -> None:
        """Leave everything."""

    def cleanup(self) -> None:
        """Leave everything."""


def keep_temporary_directories() -> None:
    """Let every temporary directory that this process makes from now on stay.

    To be called before what makes them is imported.
    """
    tempfile.TemporaryDirectory = KeptDirectory  # type: ignore[assignment,misc]
