# SPDX-License-Identifier: Apache-2.0
"""The seam of what a subject's child is run by: this machine, or an emulator of another.

`bench.subject` starts whatever an interpreter says and knows no emulator;
`compile.targets.emulation` makes those of other architectures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python, and how it is started.

    Attributes:
        command: the program and what comes before `-m`.
        variables: all that its environment has; that of the caller for None.
        timed: it takes as long as on the machine that it stands for. One that does not is asked
            and never timed.
    """

    command: tuple[str, ...]
    variables: Mapping[str, str] | None = None
    timed: bool = True


def of_this_machine(python: Path) -> Interpreter:
    """Return the interpreter of an environment of this machine."""
    return Interpreter(command=(str(python.absolute()),))
