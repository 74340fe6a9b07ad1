# SPDX-License-Identifier: Apache-2.0
"""Rows of any floats, and grids from any reference: what statistics must survive."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from insight_edge.stats.grid import Grid, grid_from_rows

Rows = NDArray[np.float64]

MOST_ROWS = 40

floats = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, -5e-324]),
    st.floats(-10, 10),
    st.integers(0, 5).map(float),
    st.floats(),
)


def rows(features: int, *, most: int = MOST_ROWS) -> st.SearchStrategy[Rows]:
    """Return rows of any floats, f8[0 to `most`, features]."""
    return st.integers(0, most).flatmap(
        lambda count: arrays(np.float64, (count, features), elements=floats)
    )


@st.composite
def grids(draw: st.DrawFn, *, most_features: int = 4) -> Grid:
    """Return a grid made from reference rows of any floats."""
    names = [f"feature {index}" for index in range(draw(st.integers(0, most_features)))]
    bins = draw(st.integers(3, 20))
    cells = draw(st.integers(bins, 100))
    return grid_from_rows(names, draw(rows(len(names))), bins=bins, cells=cells)


@st.composite
def edges(draw: st.DrawFn, grid: Grid) -> Rows:
    """Return rows of values on the grid's cell edges and the floats next to them."""
    at = draw(
        arrays(np.int64, (MOST_ROWS, len(grid.names)), elements=st.integers(-1, grid.cells + 1))
    )
    towards = draw(arrays(np.float64, at.shape, elements=st.sampled_from([-np.inf, 0.0, np.inf])))
    on = grid.low + at * grid.cell
    return np.where(towards == 0, on, np.nextafter(on, towards))
