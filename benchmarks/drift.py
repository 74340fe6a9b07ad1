# SPDX-License-Identifier: Apache-2.0
"""What it takes to check one window of a fleet for drift: 64 features of 16 bins.

The *scores* are what the alarm hangs on: cells of the window's summary, and the
population stability index of every feature. An *assessment* adds what people
read: three more measures a feature, means and spreads from exact sums, the
order, the sentence. The peer is what a tool that works on rows has to do before
it can compare anything: count the rows of one window of 10 000.

Both are independent of how many rows a window or the reference has.

Expected: 0.1 ms for the scores, 3 ms for an assessment, a twentieth of the peer.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, figure_from_estimate
from insight_edge.bench.interleave import Block, interleave
from insight_edge.bench.measure import block_iterations, time_block, warm_up
from insight_edge.errors import MeasurementError
from insight_edge.stats.assess import Reference, Verdict, assess
from insight_edge.stats.distance import cells_from_summary, psi
from insight_edge.stats.finding import Trait
from insight_edge.stats.grid import Grid, grid_from_rows
from insight_edge.stats.interval import median_interval, ratio_interval
from insight_edge.stats.summary import Summary
from insight_edge.stats.tally import Tally
from insight_edge.stats.threshold import draw_threshold

NAME = "drift"
FEATURES, BINS = 64, 16
REFERENCE_ROWS, WINDOW_ROWS, PEER_ROWS = 2000, 200, 10_000
ROUNDS = 40
CHUNK_ROWS = 256

SCORES, ASSESSMENT, COUNTING = "scores", "assessment", f"counting {PEER_ROWS} rows"
BARS_US = {SCORES: 1000.0, ASSESSMENT: 10_000.0}


class _Timed:
    """One thing that is done over and over, in blocks."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do = do
        self.call_s = warm_up(self._call, repeat(None))

    def block(self, iterations: int) -> Block:
        """Return the duration in ns of each of some calls."""
        return time_block(self._call, repeat(None), iterations)

    def _call(self, _: None) -> object:
        return self._do()


def take(place: Path, tell: Callable[[str], None]) -> Iterator[Figure]:
    """Yield the figures; `place` is not needed.

    Raises:
        MeasurementError: the check does not see what was done to the window.
    """
    del place
    tell("drift: drawing a limit")
    timed = {name: _Timed(do) for name, do in _subjects().items()}
    tell(f"drift: {ROUNDS} rounds")
    blocks = interleave(
        {name: (each, block_iterations(each.call_s)) for name, each in timed.items()},
        rounds=ROUNDS,
    )
    case = f"{FEATURES} features of {BINS} bins"
    for name, bar in BARS_US.items():
        value, low, high = median_interval(blocks[name])
        yield figure_from_estimate(
            (value / 1e3, low / 1e3, high / 1e3),
            name=NAME,
            case=case,
            compared=(f"{name} p50", "nothing"),
            unit="us",
            rounds=ROUNDS,
            bar=bar,
        )
    yield figure_from_estimate(
        ratio_interval(blocks[ASSESSMENT], blocks[COUNTING]),
        name=NAME,
        case=case,
        compared=(f"{ASSESSMENT} p50", COUNTING),
        rounds=ROUNDS,
        note=" against ".join(
            f"{float(np.median(np.concatenate(blocks[name]))) / 1e6:.2f} ms"
            for name in (ASSESSMENT, COUNTING)
        ),
    )


def _subjects() -> dict[str, Callable[[], object]]:
    random = np.random.default_rng(0)
    names = [f"feature {index}" for index in range(FEATURES)]
    rows = random.normal(size=(REFERENCE_ROWS, FEATURES))
    many = random.normal(size=(PEER_ROWS, FEATURES))
    grid = grid_from_rows(names, rows, bins=BINS)
    traits = tuple(Trait(name=n, side="input", tensor="x", measure="value") for n in names)
    reference = Reference(summaries=(_counted(grid, rows),), traits=traits)
    window = _counted(grid, random.normal(1.0, 1.0, (WINDOW_ROWS, FEATURES)))
    threshold = draw_threshold(grid, rows, window_rows=WINDOW_ROWS, budget=0.01)
    limits = [] if threshold is None else [threshold]
    check = partial(assess, reference, [window], limits)
    if check().verdict is not Verdict.DRIFTED:
        raise MeasurementError("the check does not see that every feature moved")
    before = cells_from_summary(reference.summaries[0]).counts
    return {
        SCORES: lambda: psi(before, cells_from_summary(window).counts).max(),
        ASSESSMENT: check,
        COUNTING: lambda: _counted(grid, many),
    }


def _counted(grid: Grid, rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Summary:
    tally = Tally(grid)
    for start in range(0, len(rows), CHUNK_ROWS):
        tally.observe(rows[start : start + CHUNK_ROWS])
    return tally.summary()
