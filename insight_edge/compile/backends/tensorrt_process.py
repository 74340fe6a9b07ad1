# SPDX-License-Identifier: Apache-2.0
"""A process that only builds one plan, at addresses that are the same in every run.

TensorRT-RTX lays out an INT8 plan by the order of its objects in memory, so that
builds of one graph differ where addresses do. At fixed ones eight of eight agreed.
Where the kernel does not allow that, it builds all the same.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from insight_edge.compile.backends.tensorrt_network import load_library, write_plan
from insight_edge.errors import BuildFailedError
from insight_edge.runtime.engines.tensorrt_flavours import FLAVOURS, Flavour

ADDR_NO_RANDOMIZE = 0x0040000
"""Of sys/personality.h; it holds from the next program that this process runs."""

_ASK = 0xFFFFFFFF

_REFUSED = 3


def plan_from_graph(
    graph: Path, flavour: Flavour, capabilities: Sequence[str], plan: Path, timings: Path
) -> None:
    """Write the plan of a graph in a process of its own; the log goes to standard output.

    The file of timings is read and left as `write_plan` does.

    Raises:
        BuildFailedError: the graph was refused, or the process died of it.
    """
    words = [flavour.token, ",".join(capabilities), str(graph), str(plan), str(timings)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__, *words],
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    sys.stdout.write(done.stdout)
    if done.returncode == _REFUSED:
        raise BuildFailedError(done.stdout.strip().splitlines()[-1])
    if done.returncode < 0:
        number = -done.returncode
        raise BuildFailedError(f"{flavour.name} died of it ({signal.strsignal(number)})")
    if done.returncode:
        raise BuildFailedError(f"{flavour.name} ended with exit code {done.returncode}")


def main(arguments: Sequence[str]) -> int:
    """Write plan 4 of graph 3 with flavour 1, timings 5, for the compute capabilities 2."""
    token, capabilities, graph, plan, timings = arguments
    flavour = next(flavour for flavour in FLAVOURS if flavour.token == token)
    try:
        library = load_library(flavour)
        data = Path(graph).read_bytes()
        write_plan(library, flavour, data, capabilities.split(","), Path(plan), Path(timings))
    except BuildFailedError as error:
        sys.stdout.write(f"{error}\n")
        return _REFUSED
    return 0


def _steady_addresses() -> None:
    """Start this very program anew at fixed addresses, unless it is at them or may not be."""
    personality = ctypes.CDLL(None).personality
    now = personality(ctypes.c_ulong(_ASK))
    if now < 0 or now & ADDR_NO_RANDOMIZE:
        return
    if personality(ctypes.c_ulong(now | ADDR_NO_RANDOMIZE)) >= 0:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (no shell)


if __name__ == "__main__":
    _steady_addresses()
    sys.exit(main(sys.argv[1:]))
