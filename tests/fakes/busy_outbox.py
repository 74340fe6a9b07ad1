# SPDX-License-Identifier: Apache-2.0
"""A program that fills and empties an outbox until it is killed: `python -m ... PATH SEED`.

It says on standard output what must be true of the file from then on: `+DIGEST` after a message
was put, `-DIGEST` before it is acknowledged.
"""

import os
import random
import sys
from pathlib import Path

from insight_edge.fleet.link.outbox import Outbox
from insight_edge.fleet.link.queueing import KEPT


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def main() -> None:
    chance = random.Random(sys.argv[2])  # noqa: S311 - to be repeated, not secret
    outbox = Outbox(Path(sys.argv[1]))
    say("begun")
    while True:
        name = outbox.put(chance.choice(KEPT), chance.randbytes(chance.randrange(1, 9_000)))
        say(f"+{name}")
        due = outbox.due(chance.randrange(4), 0.0)
        outbox.sent([message.digest for message in due[:2]], 0.0)
        for message in due[2:]:
            say(f"-{message.digest}")
        outbox.acknowledge(message.digest for message in due[2:])


if __name__ == "__main__":
    main()
