# SPDX-License-Identifier: Apache-2.0
"""A server that is soon tired of waiting: `python -m tests.fakes.hasty_server BUNDLE`."""

import sys
from pathlib import Path

from insight_edge.runtime.infer import Runtime
from insight_edge.serve.access import Access
from insight_edge.serve.limits import Limits
from insight_edge.serve.place import Port
from insight_edge.serve.server import Server

LIMITS = Limits(
    head_bytes=1024,
    body_bytes=256 * 1024,
    buffered_bytes=300 * 1024,
    connections=3,
    head_s=0.2,
    body_s=0.2,
    slowest_bytes=1024 * 1024,
    idle_s=0.5,
    drain_s=0.3,
    tick_s=0.02,
)


def main() -> None:
    with Runtime.open(Path(sys.argv[1]), allow_unsigned=True, threads=1) as runtime:
        Server(
            runtime, Port("127.0.0.1", 0), access=Access(), limits=LIMITS, threads=2, waiting=4
        ).run(_tell)


def _tell(address: str) -> None:
    sys.stdout.write(address + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
