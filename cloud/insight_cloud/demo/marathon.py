# SPDX-License-Identifier: Apache-2.0
"""`make chaos`: the demo again and again while its processes are killed, for as long as asked.

Each turn has a seed of its own, so that one that breaks a promise can be told again.
"""

import argparse
import sys
import time
from pathlib import Path

from insight_cloud.demo import screen
from insight_cloud.demo.story import Options, tell_story
from insight_edge.errors import InsightEdgeError

KILL_EACH_S = 8.0


def main() -> None:
    """Tell the story until the time is over; exit with the code of the first that fails."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("train_toml", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, default=Path(".demo"))
    asked = parser.parse_args()
    until_s, seed = time.monotonic() + 60 * asked.minutes, asked.seed
    while time.monotonic() < until_s:
        screen.chapter(f"Seed {seed}")
        options = Options(
            folder=asked.directory,
            train_toml=asked.train_toml,
            seed=seed,
            kill_each_s=KILL_EACH_S,
        )
        try:
            tell_story(options)
        except InsightEdgeError as error:
            sys.stderr.write(f"error: seed {seed}: {error}\n")
            sys.exit(error.exit_code)
        seed += 1


if __name__ == "__main__":
    main()
