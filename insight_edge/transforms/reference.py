# SPDX-License-Identifier: Apache-2.0
"""The reference: training inputs and the model's outputs, counted as a device would.

Grid and tally are the device's own, so that a device that sees the training
rows again reports the reference bit for bit. Nothing is tested for drift here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.manifest import Reference
from insight_edge.documents.statistics import document_from_grid, document_from_summary
from insight_edge.documents.steps import Feature, Observe
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.tally import Tally
from insight_edge.transforms.features import extract

CHUNK_ROWS = 256


def reference_from_tensors(
    observe: Observe,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, NDArray[Any]],
) -> Reference | None:
    """Return the reference of some rows in time order, or None where nothing is observed.

    Args:
        observe: the features; inputs first, then outputs.
        inputs: (n, ...) the tensors that `observe.inputs` name, raw or as the model is fed.
        outputs: (n, ...) the tensors after post-processing.
    """
    features = (*observe.inputs, *observe.outputs)
    if not features:
        return None
    rows = np.hstack([_table(observe.inputs, inputs), _table(observe.outputs, outputs)])
    grid = grid_from_rows([feature.name for feature in features], rows)
    tally = Tally(grid)
    for start in range(0, len(rows), CHUNK_ROWS):
        tally.observe(rows[start : start + CHUNK_ROWS])
    return Reference(
        grid=document_from_grid(grid),
        summary=document_from_summary(tally.summary()),
        rows=tally.count,
    )


def _table(features: Sequence[Feature], tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    if not features:
        count = len(next(iter(tensors.values())))
        return np.empty((count, 0))
    return extract(features, tensors)
