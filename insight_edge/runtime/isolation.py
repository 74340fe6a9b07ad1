# SPDX-License-Identifier: Apache-2.0
"""What an engine in a process of its own may take: memory and time. Pure; `child` keeps it."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """Bounds of an engine's child.

    Attributes:
        memory_bytes: of private memory that it may write to, its interpreter and libraries
            included (`RLIMIT_DATA`); what it maps of files, such as weights, and the arrays that it
            shares with its callers do not count. None for no bound.
        call_s: that one call may take; a child that takes longer is ended.
        load_s: that loading may take, its start and the import of the engine included.
        python: interpreter to run it with; this process's own by default.

    Raises:
        ValueError: a bound is not above 0.
    """

    memory_bytes: int | None = None
    call_s: float = 30.0
    load_s: float = 300.0
    python: Path | None = None

    def __post_init__(self) -> None:
        for name in ("memory_bytes", "call_s", "load_s"):
            bound = getattr(self, name)
            if bound is not None and bound <= 0:
                raise ValueError(f"{name} is {bound}, above 0 is needed")
