# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of an agent at any moment: what its outbox has returned for is there afterwards."""

import random
import subprocess
import sys
from pathlib import Path

from insight_edge.fleet.link.outbox import Outbox

ROOT = Path(__file__).parents[2]
KILLS = 8


def killed_after(path: Path, seed: int, lines: int) -> list[str]:
    """Return what the program said until it was killed, so many lines in."""
    command = [sys.executable, "-m", "tests.fakes.busy_outbox", str(path), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        return [line.strip() for line in said + child.stdout.readlines()]


def test_kills_at_random_moments_lose_nothing_that_was_put(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    chance = random.Random(11)  # noqa: S311 - to be repeated, not secret
    sure: set[str] = set()
    settled: set[str] = set()
    for kill in range(KILLS):
        said = killed_after(path, kill, chance.randrange(60))
        sure |= {line[1:] for line in said if line.startswith("+")}
        settled |= {line[1:] for line in said if line.startswith("-")}
        outbox = Outbox(path)
        waiting = {message.digest for message in outbox.due(100_000, 1e9)}
        assert (outbox.damaged, outbox.lost) == (0, {})
        outbox.close()
        assert sure - settled <= waiting
        assert len(waiting - sure) <= kill + 1  # killed between the put and the word of it
    assert len(sure) > KILLS
