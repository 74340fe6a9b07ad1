# SPDX-License-Identifier: Apache-2.0
"""Source models and rows for them, small enough to be asked in a unit test."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from insight_edge.compile.rows.samples import Samples
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from tests.fakes.onnx_models import model_of, value, weights_of


def source_of(model: ModelProto, name: str = "model") -> SourceModel:
    return source_from_onnx(model.SerializeToString(), name=name, importer="onnx")


def table_model(columns: int = 4, batch: int | str = "batch", classes: int = 3) -> ModelProto:
    """One dense layer from a table (batch, columns) to logits (batch, classes)."""
    return model_of(
        [helper.make_node("Gemm", ["x", "w", "b"], ["logits"], transB=1)],
        [value("x", (batch, columns))],
        [value("logits", (batch, classes))],
        weights_of(0, w=(classes, columns), b=(classes,)),
    )


def table_rows(count: int, columns: int = 4) -> NDArray[np.float32]:
    """Return rows that are all different."""
    return np.random.default_rng(1).normal(size=(count, columns)).astype(np.float32)


def samples_of(
    rows: NDArray[np.float32], *, calibrating: int = 0, labelled: bool = True
) -> Samples:
    """Return samples of which the first rows calibrate and the others are proven on."""
    return Samples(
        inputs={"x": rows},
        labels=np.arange(len(rows)) % 3 if labelled else None,
        verification=np.arange(len(rows)) >= calibrating,
    )
