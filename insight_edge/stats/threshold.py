# SPDX-License-Identifier: Apache-2.0
"""How far from the reference a window may be before it is not one of its kind. Pure.

The limit is drawn from the reference alone, as two samples: a window of it
against what remains of it, the largest score over the features, many times. It
is the quantile that a budget of false alarms a window leaves. What is found in
the field has no part in it.

Windows are drawn in two ways, and the larger limit counts. A *block* is a stretch of
rows in the order of time: where rows depend on those before them, windows of the
field differ as blocks do. *Shuffled* rows know nothing of time: with few blocks
their limit is the steadier one, and for rows that do not depend on each other it
is the right one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_edge.stats.distance import OUTSIDE, cells_of_rows, psi
from insight_edge.stats.grid import Grid

Rows = NDArray[np.float64]
Cells = NDArray[np.int64]
STATISTIC = "psi-max"
"""The population stability index of the feature where it is largest."""

WINDOWS = (25, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""The sizes that limits are drawn for. Rows beyond the next smaller one make a window only less
scattered, so that one's limit is on the safe side for it."""

MIN_BLOCKS = 5
"""A reference with fewer rows than so many windows gives that size no limit."""

FIRM_BLOCKS = 20
"""With fewer, rows that depend on each other give more false alarms than the budget."""

APART = 1.5
"""Times as far as shuffled rows: then blocks are not as they are by chance."""

DRAWS = 1000
DRAWS_IN_THE_TAIL = 10
"""Draws beyond the quantile, at least: a smaller budget takes more draws."""

LEAST_BUDGET, LARGEST_BUDGET = 0.0005, 0.25


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The limit for windows of one size.

    Attributes:
        window_rows: of the windows it was drawn from; it serves for larger ones.
        limit: a window is like the reference as long as its score is not above.
        budget: share of windows like the reference that are above.
        statistic: what the score is.
        features: the names of those that the score is the largest of.
        reference_rows: that windows were drawn from.
        depends: blocks are further apart than shuffled rows, so rows depend on their neighbours
            or the reference changed on its way.
        seed, draws: that give the same limit again.
    """

    window_rows: int
    limit: float
    budget: float
    statistic: str = STATISTIC
    features: tuple[str, ...]
    reference_rows: int
    depends: bool
    seed: int
    draws: int

    @property
    def is_firm(self) -> bool:
        """Whether the budget can be relied on."""
        return not self.depends or self.reference_rows >= FIRM_BLOCKS * self.window_rows


def window_size(rows: int, reference_rows: int) -> int | None:
    """Return the size of window whose limit serves for so many rows; None where none does.

    It is the largest with no more rows than there are, of which the reference has enough blocks.
    """
    fits = [size for size in WINDOWS if size <= min(rows, reference_rows // MIN_BLOCKS)]
    return fits[-1] if fits else None


def draw_threshold(
    grid: Grid,
    rows: Rows,
    *,
    window_rows: int,
    budget: float,
    seed: int = 0,
    draws: int | None = None,
) -> Threshold | None:
    """Return the limit for windows of a size, or None where the reference has too few blocks.

    Args:
        grid: of the features that are tested.
        rows: f8[rows, features], the reference in the order of time.
        window_rows: rows a window.
        budget: share of windows like the reference that may be above the limit.
        seed: the same one gives the same limit.
        draws: windows drawn of each kind; None for as many as the budget takes.

    Raises:
        ValueError: the budget is out of bounds, or a window has no rows.
    """
    if not LEAST_BUDGET <= budget <= LARGEST_BUDGET or window_rows < 1:
        raise ValueError(f"a budget of {budget} for windows of {window_rows} rows")
    if len(rows) < MIN_BLOCKS * window_rows:
        return None
    draws = draws or max(DRAWS, round(DRAWS_IN_THE_TAIL / budget))
    random = np.random.default_rng(seed)
    cells, width = cells_of_rows(grid, rows), grid.bins + OUTSIDE
    blocks = _worst(cells, width, _blocks(len(rows), window_rows, draws, random))
    shuffled = _worst(cells, width, _shuffled(len(rows), window_rows, draws, random))
    return Threshold(
        window_rows=window_rows,
        limit=float(max(np.quantile(drawn, 1 - budget) for drawn in (blocks, shuffled))),
        budget=budget,
        features=grid.names,
        reference_rows=len(rows),
        depends=bool(np.quantile(blocks, 0.95) > APART * np.quantile(shuffled, 0.95)),
        seed=seed,
        draws=draws,
    )


def _blocks(
    rows: int, window_rows: int, draws: int, random: np.random.Generator
) -> Iterator[slice]:
    """Give windows of neighbours, which may overlap."""
    for start in random.integers(0, rows - window_rows + 1, draws).tolist():
        yield slice(start, start + window_rows)


def _shuffled(
    rows: int, window_rows: int, draws: int, random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Give windows of rows from anywhere, as many from one shuffling as it holds."""
    each = rows // window_rows
    for at in range(draws):
        if at % each == 0:
            order = random.permutation(rows)
        yield order[at % each * window_rows :][:window_rows]


def _worst(
    cells: Cells, width: int, windows: Iterable[slice | NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Return for each window the largest score over the features, against the other rows."""
    features = cells.shape[1]
    places = (cells + np.arange(features) * width).astype(np.intp)
    taken = np.array(
        [np.bincount(places[window].ravel(), minlength=features * width) for window in windows]
    ).reshape(-1, features, width)
    whole = np.bincount(places.ravel(), minlength=features * width).reshape(features, width)
    worst: NDArray[np.float64] = psi(whole - taken, taken).max(axis=1)
    return worst
