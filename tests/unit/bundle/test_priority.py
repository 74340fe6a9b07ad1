# SPDX-License-Identifier: Apache-2.0
"""A process gives way only where it may come back, and then all of its threads do."""

import subprocess
import sys

import pytest

CODE = """
import os, threading
from insight_edge.bundle.priority import come_back, give_way
priority = lambda: os.getpriority(os.PRIO_PROCESS, 0)
{prepare}
first = priority()
before = give_way()
told, over = [], threading.Event()
def look():
    told.append(priority())
    over.wait()
    told.append(priority())
born = threading.Thread(target=look)
born.start()
lowered = priority()
come_back(before)
over.set(); born.join()
print(first, before, lowered, priority(), *told)
"""
FEW_RIGHTS = """
import resource
resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
os.getuid() == 0 and os.setuid(65534)
"""


def told(prepare: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(prepare=prepare)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_it_gives_way_and_comes_back_where_it_may() -> None:
    first, before, lowered, last, *born = told("")
    if before == "None":
        pytest.skip("this user may not raise a priority")
    assert (before, last) == (first, first)
    assert [lowered, *born] == ["19", "19", first]


def test_nothing_changes_where_it_could_not_come_back() -> None:
    first, before, *rest = told(FEW_RIGHTS)
    assert before == "None"
    assert set(rest) == {first}
