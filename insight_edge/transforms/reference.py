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
from insight_edge.documents.tensors import TensorSpec
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.tally import Tally
from insight_edge.transforms.features import Extractor
from insight_edge.transforms.sampling import Sampling

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
    rows = reference_rows(observe, inputs, outputs)
    grid = grid_from_rows([feature.name for feature in features], rows)
    tally = Tally(grid)
    for start in range(0, len(rows), CHUNK_ROWS):
        tally.observe(rows[start : start + CHUNK_ROWS])
    return Reference(
        grid=document_from_grid(grid),
        summary=document_from_summary(tally.summary()),
        rows=tally.count,
    )


def reference_rows(
    observe: Observe,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, NDArray[Any]],
) -> NDArray[np.float64]:
    """Return f8[n, features] of rows in time order, as a device that meets them computes it.

    Raises:
        ConfigurationError: a tensor cannot be sampled as `observe` says.
    """
    read = {feature.tensor for feature in observe.inputs}
    specs = [_spec(name, array) for name, array in inputs.items() if name in read]
    sampling = Sampling(observe.strides, observe.inputs, specs)
    sampled = sampling.stream(inputs) if observe.strides else inputs
    return np.hstack(
        [
            _table(Extractor(observe.inputs, sampling.names), observe.inputs, sampled),
            _table(Extractor(observe.outputs), observe.outputs, outputs),
        ]
    )


def _table(
    extractor: Extractor, features: Sequence[Feature], tensors: Mapping[str, NDArray[Any]]
) -> NDArray[np.float64]:
    if not features:
        count = len(next(iter(tensors.values())))
        return np.empty((count, 0))
    return extractor.rows(tensors)


def _spec(name: str, array: NDArray[Any]) -> TensorSpec:
    return TensorSpec(name=name, dtype=array.dtype.name, shape=("n", *array.shape[1:]))
