# SPDX-License-Identifier: Apache-2.0
"""A runtime asked, swapped, damaged and reported on for as long as MINUTES says.

Callers check every answer against the bundle that it names, and now and then ask what
is refused or has NaN in it; bundles follow one another without pause, each fifth of
them damaged; windows and predictions are taken as an agent takes them. In the end every
call is in a report, and nothing has grown. Without `MINUTES` it lasts seconds, and growth
is not judged.

What the test itself keeps must not grow either: reports are added up, not collected.
"""

import os
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path

import numpy as np
import pytest

from insight_edge.errors import TensorMismatchError, UpdateError
from insight_edge.runtime.infer import Runtime
from tests.fakes.matrix import COLUMNS
from tests.fakes.served import write_served_bundle

SHORT_S = 4.0
CALLERS = 3
TAGS = (1, 2, 3)
MOST_ROWS = 4
SETTLED_ANSWERS, SETTLED_SWAPS = 1_000_000, 60
"""After these, memory has come to rest: until then the rings of two bundles at once fill, and with
what a swap leaves free between them the heap widens by about a tenth. What is live does not grow:
after 40 s of a hundred, objects and used heap were the same and resident memory within 0.3 %."""

PLATEAU = 1.25
"""Of memory, from the first look to when it has come to rest."""

GROWTH = 1.01
"""Of memory, from the first third of the time after that to the last."""

LEAST_LOOKS = 60
"""Of those after it; fewer seconds show no growth."""

TAKEN_ROWS = 256
COUNTED = ("asked", "answered", "failed", "broken", "flagged")


@dataclass
class Crew:
    """Threads that take their steps again and again until one of them fails or all are told to end.

    Attributes:
        failures: what ended it.
    """

    failures: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, step: Callable[[], None], pause_s: float = 0.0) -> None:
        def keep() -> None:
            try:
                while not self.over.wait(pause_s):
                    step()
            except BaseException as error:  # noqa: BLE001 (the test looks at it)
                self.failures.append(error)
                self.over.set()

        self.threads.append(threading.Thread(target=keep))
        self.threads[-1].start()

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


@dataclass
class Tally:
    """What callers saw; the numbers of one thread are written by it alone."""

    answered: list[int] = field(default_factory=lambda: [0] * CALLERS)
    flagged: list[int] = field(default_factory=lambda: [0] * CALLERS)
    wrong: list[str] = field(default_factory=list)
    swaps: int = 0

    def settled(self) -> bool:
        return sum(self.answered) >= SETTLED_ANSWERS and self.swaps >= SETTLED_SWAPS


@dataclass
class Footprint:
    """What the process held, second by second."""

    resident_kib: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    settled: int = 0

    def look(self, *, settled: bool) -> None:
        """Take note; looks until it has settled are only counted."""
        status = Path("/proc/self/status").read_text().splitlines()
        found = dict(line.split(":", 1) for line in status)
        self.resident_kib.append(int(found["VmRSS"].split()[0]))
        self.threads.append(int(found["Threads"]))
        self.files.append(sum(1 for _ in Path("/proc/self/fd").iterdir()))
        if not settled:
            self.settled = len(self.files)

    def grown(self, values: list[int]) -> float:
        """Return the middle of the last third over that of the first, once it had settled."""
        left = values[self.settled :]
        third = len(left) // 3
        return statistics.median(left[-third:]) / statistics.median(left[:third])

    def plateau(self) -> float:
        """Return the memory that it settled at over that of the first look."""
        return self.resident_kib[self.settled] / self.resident_kib[0]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Where whole ones lie, each with its digest, and last a damaged one."""
    folder = tmp_path_factory.mktemp("soak")
    found = {folder / str(tag): write_served_bundle(folder / str(tag), tag) for tag in TAGS}
    found[folder / "damaged"] = write_served_bundle(folder / "damaged", 9)
    next((folder / "damaged").glob("matrix*")).write_bytes(b"damaged")
    return found


def caller(runtime: Runtime, tags: dict[str, int], tally: Tally, me: int) -> Callable[[], None]:
    """Return a step of one caller: a call, checked."""
    numbers = count(me)

    def one() -> None:
        number = next(numbers)
        rows = np.ones((2 + number % MOST_ROWS, COLUMNS), np.float32)
        if number % 53 == 0:
            with pytest.raises(TensorMismatchError):
                runtime.infer({"x": rows.astype(np.float64)})
            return
        if number % 59 == 0:
            rows[0, 0] = np.nan
            tally.flagged[me] += 1
        result = runtime.infer({"x": rows}, key=f"{me}-{number}")
        tally.answered[me] += 1
        if not np.allclose(result.outputs["y"][1:], tags[result.bundle]):
            tally.wrong.append(f"{result.bundle}: {result.outputs['y']}")

    return one


def swapper(runtime: Runtime, bundles: list[Path], tally: Tally) -> Callable[[], None]:
    """Return a step of whoever replaces bundles."""
    *whole, damaged = bundles
    following = cycle([*whole, whole[0], damaged])

    def one() -> None:
        bundle = next(following)
        tally.swaps += 1
        if bundle != damaged:
            runtime.swap(bundle)
            return
        with pytest.raises(UpdateError):
            runtime.swap(bundle)

    return one


def collector(runtime: Runtime, counts: Counter[str]) -> Callable[[], None]:
    """Return a step of whoever takes windows and predictions, and adds the windows' counts up."""
    doors = runtime._doors  # the agent's, who has no application

    def one() -> None:
        while rows := doors.oldest_predictions(TAKEN_ROWS):
            doors.confirm_predictions(rows)
        while (report := runtime.take_report()) is not None:
            counts.update({name: getattr(report.counts, name) for name in COUNTED})

    return one


def test_nothing_is_lost_mixed_or_grown(bundles: dict[Path, str], tmp_path: Path) -> None:
    minutes = os.environ.get("MINUTES")
    lasting_s = SHORT_S if minutes is None else 60 * float(minutes)
    crew, tally, footprint, counts = Crew(), Tally(), Footprint(), Counter[str]()
    paths, tags = list(bundles), dict(zip(bundles.values(), TAGS, strict=False))
    with Runtime.open(paths[0], allow_unsigned=True, threads=1, state_dir=tmp_path) as runtime:
        take = collector(runtime, counts)
        for me in range(CALLERS):
            crew.begin(caller(runtime, tags, tally, me))
        crew.begin(swapper(runtime, paths, tally), 0.02)
        crew.begin(take, 0.5)
        ends_s = time.monotonic() + lasting_s
        while (left_s := ends_s - time.monotonic()) > 0 and not crew.over.wait(1.0):
            footprint.look(settled=tally.settled())
            _tell(tally, footprint, left_s)
        crew.end()
    take()
    assert crew.failures == []
    assert tally.wrong == []
    asked = sum(tally.answered)
    assert (counts["asked"], counts["answered"]) == (asked, asked)
    assert (counts["failed"], counts["broken"]) == (0, 0)
    assert counts["flagged"] <= sum(tally.flagged)
    if minutes is not None:
        assert len(footprint.files) - footprint.settled >= LEAST_LOOKS, "too short: more MINUTES"
        grown, plateau = footprint.grown(footprint.resident_kib), footprint.plateau()
        sys.stderr.write(f"{asked} answered, {tally.swaps} swaps; memory settled after ")
        sys.stderr.write(f"{footprint.settled} s at {plateau:.4f}, then {grown:.4f} of that\n")
        assert plateau <= PLATEAU
        assert grown <= GROWTH
        assert footprint.grown(footprint.files) <= 1
        assert footprint.grown(footprint.threads) <= 1


def test_growth_is_told_of_what_comes_after_it_had_settled() -> None:
    filling = [80_000 + min(second, 60) * 200 for second in range(180)]
    footprint = Footprint(resident_kib=filling, settled=60)
    assert footprint.plateau() <= PLATEAU
    assert footprint.grown(filling) == 1
    assert footprint.grown([kib + 20 * second for second, kib in enumerate(filling)]) > GROWTH


def _tell(tally: Tally, footprint: Footprint, left_s: float) -> None:
    if len(footprint.files) % 30 == 0:
        asked, mib = sum(tally.answered), footprint.resident_kib[-1] / 1024
        sys.stderr.write(f"{left_s:6.0f} s left: {asked} answered, {mib:.1f} MiB\n")
