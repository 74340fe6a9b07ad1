# SPDX-License-Identifier: Apache-2.0
"""One life of a process that answers with a model: by the bare engine, or by the runtime.

Both load the same artifact with the same options in the device's own environment, answer
one row, then many, and say what that took. The child is `benchmarks.fresh_child`.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from insight_edge.bundle.open import open_manifest

ENGINE, RUNTIME, IMPORT = "engine", "runtime", "import"
CALLS = 12_000
"""Every ring is full and every buffer as large as it becomes long before."""

TIMEOUT_S = 300
PROGRAM = Path(__file__).with_name("fresh_child.py")


@dataclass(frozen=True, kw_only=True)
class Life:
    """What one process took.

    Attributes:
        first_ms: from the first line of the program to the first answer.
        rss, pss, uss: MB (2**20 bytes) after all calls.
    """

    first_ms: float
    rss: float
    pss: float
    uss: float


def live(python: Path, mode: str, bundle: Path, *, calls: int = CALLS) -> Life:
    """Return what one fresh process says of itself.

    Raises:
        subprocess.SubprocessError: it failed, or took too long; what it said is on stderr.
    """
    first_ms, rss, pss, uss = _numbers(python, mode, bundle, calls)
    return Life(first_ms=first_ms, rss=rss, pss=pss, uss=uss)


def import_ms(python: Path, bundle: Path) -> float:
    """Return how long the runtime takes to be imported beside NumPy and an engine.

    Raises:
        subprocess.SubprocessError: as `live`.
    """
    return _numbers(python, IMPORT, bundle, 0)[0]


def _numbers(python: Path, mode: str, bundle: Path, calls: int) -> list[float]:
    manifest = open_manifest(bundle, allow_unsigned=True).manifest
    winner, spec = manifest.variants[0], manifest.io.inputs[0]
    optimized = winner.settings.get("optimized", "no")
    of_artifact = (winner.entry, optimized, spec.name, *map(str, spec.shape[1:]))
    done = subprocess.run(
        [str(python), "-P", str(PROGRAM), mode, str(bundle), str(calls), *of_artifact],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    return [float(number) for number in done.stdout.split()]
