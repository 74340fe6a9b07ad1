# SPDX-License-Identifier: Apache-2.0
"""What the importers of boosted trees share: rows that tell trees apart, and ONNX of one opset.

No importer itself, and no framework is imported here. Runs in a child process
of the toolchain's environment.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.sources.conversion import ANSWERS, INPUTS, MODEL
from insight_edge.compile.sources.importing import OPSET

ENVIRONMENT = "toolchain-trees"
INPUT = "X"
ROWS = 512
MISSING_SHARE = 0.05
UNDECIDED = 1e-5
"""Rows whose best two scores are nearer than this have no label that rounding leaves alone."""

ASKED_OPSET = 15
"""The highest that onnxmltools 1.16 writes; onnx itself raises it to `OPSET`."""

Rows = NDArray[np.float32]
Array = NDArray[Any]


def parity_rows(thresholds: Mapping[int, Sequence[float]], features: int) -> Rows:
    """Return (n, features) rows at, just below and just above the model's own thresholds.

    The last quarter has values missing.

    Args:
        thresholds: by feature.
        features: how many the model takes.
    """
    random = np.random.default_rng(0)
    rows = np.zeros((ROWS, features), np.float32)
    for feature in range(features):
        at = np.unique(np.asarray(thresholds.get(feature, [0.0]), np.float32))
        below, above = (np.nextafter(at, np.float32(to)) for to in (-np.inf, np.inf))
        ends = np.asarray([at[0] - 1, at[-1] + 1], np.float32)
        rows[:, feature] = random.choice(np.concatenate([at, below, above, ends]), ROWS)
    gaps = random.random((ROWS // 4, features)) < MISSING_SHARE
    rows[-len(gaps) :][gaps] = np.nan
    return rows


def labelled(rows: Rows, scores: Array) -> tuple[Rows, list[Array]]:
    """Return the rows that have a clear label, and their labels and scores (n, classes).

    Args:
        rows: (n, features).
        scores: (n, classes), or (n,) of the second of two classes.
    """
    if scores.ndim == 1:
        scores = np.stack([1 - scores, scores], axis=1)
    best = np.sort(scores, axis=1)
    clear = best[:, -1] - best[:, -2] > UNDECIDED
    return rows[clear], [scores[clear].argmax(axis=1), scores[clear].astype(np.float32)]


def write_conversion(directory: Path, model: Any, rows: Rows, answers: Sequence[Array]) -> None:
    """Write a converted model with the framework's own answers to some rows.

    Args:
        directory: to write to.
        model: `onnx.ModelProto` as onnxmltools made it.
        rows: (n, features).
        answers: an array an output, in order.

    """
    model = _of_opset(model)
    _name(model)
    _free_batch(model)
    (directory / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    (directory / INPUTS).write_bytes(npz_from_arrays({model.graph.input[0].name: rows}))
    columns = {str(index): answer for index, answer in enumerate(answers)}
    (directory / ANSWERS).write_bytes(npz_from_arrays(columns))


def _of_opset(model: Any) -> Any:
    """Return the model with standard operators of `OPSET`; trees alone come without a version."""
    from onnx.version_converter import convert_version

    if any(not node.domain for node in model.graph.node):
        return convert_version(model, OPSET)
    others = [o for o in model.opset_import if o.domain]
    del model.opset_import[:]
    model.opset_import.add(domain="", version=OPSET)
    model.opset_import.extend(others)
    return model


def _name(model: Any) -> None:
    """Name graph and nodes anew; onnxmltools draws names at random."""
    model.graph.name = "trees"
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"


def _free_batch(model: Any) -> None:
    """Name the batch; onnxmltools gives labels one row, which holds for one row only."""
    for value in (*model.graph.input, *model.graph.output):
        shape = value.type.tensor_type.shape
        if shape.dim:
            shape.dim[0].Clear()
            shape.dim[0].dim_param = "batch"
