# SPDX-License-Identifier: Apache-2.0
"""Reduced precisions of an FP32 `.tflite` file, by ai-edge-quantizer.

Weights have a scale a channel. Inputs and outputs stay floats: what the file
converts inside costs less than NumPy would outside. Calibration rows are put
through a few at a time.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from insight_edge.compile.backends.tflite_names import came_as_tflite, converted_names
from insight_edge.compile.backends.tflite_outputs import COPY, parted
from insight_edge.compile.backends.tflite_vectors import shared
from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import Arrays, calibration_feeds
from insight_edge.errors import BuildFailedError
from insight_edge.runtime.engines.tflite import signature_key

DYNAMIC = "dynamic"

FEEDS_AT_ONCE = 16
"""The quantiser makes a list of what it is given."""

LEFT_ALONE = ("INPUT", "OUTPUT")
ONE_SCALE = ("BATCH_MATMUL",)
"""Its kernel answers 0 for weights that have a scale a channel."""

UNPADDED = "PADV2"
"""Its padding value gets a scale of the wrong rank in some graphs, and the quantiser refuses."""


def quantize(job: BuildJob, full: Path) -> bytes:
    """Return the file of a job in its precision.

    Raises:
        BuildFailedError: the quantiser refused the file, or the job has no rows for it.
        DocumentError: its calibration file is malformed.
    """
    from ai_edge_quantizer import qtyping, quantizer, recipe

    if job.target.precision == "fp16":
        half = quantizer.Quantizer(str(full))
        half.add_weight_only_config(
            regex=".*",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            num_bits=16,
            algorithm_key="float_casting",
        )
        return _bytes(half, None)
    if job.target.options.get(DYNAMIC):
        return _bytes(quantizer.Quantizer(str(full), recipe.dynamic_wi8_afp32()), None)
    try:
        return _static(job, full, LEFT_ALONE)
    except ValueError as error:
        if "Ranks of scales" not in str(error):
            raise BuildFailedError(f"the quantiser refuses it: {error}") from error
        return _static(job, full, (*LEFT_ALONE, UNPADDED))


def _static(job: BuildJob, full: Path, alone: tuple[str, ...]) -> bytes:
    from ai_edge_quantizer import quantizer

    model, recipe = parted(full), _recipe(alone)
    ranges = _ranges(job, full, model, recipe)
    return _bytes(quantizer.Quantizer(model, recipe), ranges)


def _ranges(job: BuildJob, full: Path, model: bytes, recipe: list[Any]) -> dict[str, Any]:
    """Return the smallest and largest value of every tensor over all calibration rows.

    The quantiser by itself takes moving averages of each row's, and cuts off what few rows reach:
    on a forecaster that left 1 dB of 35, on a MobileNet 10 of 27.

    Args:
        job: with calibration rows.
        full: the file as it was converted, whose faces the rows are for.
        model: the same, made ready.
        recipe: what is quantised.

    Raises:
        BuildFailedError: there are no rows, or a tensor is NaN or infinite on them.
    """
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    key, called, asked = signature_key(full), _called(job, full), recipe_manager.RecipeManager()
    asked.load_quantization_recipe(recipe)
    seen = calibrator.Calibrator(model, num_threads=1, qsv_update_func=min_max_update)
    named = (
        {called.get(name, name): rows for name, rows in feed.items()}
        for feed in calibration_feeds(job)
    )
    for feeds in _blocks(named):
        seen.calibrate({key: feeds}, asked)
    ranges: dict[str, Any] = seen.get_model_qsvs()
    _refuse_unbounded(ranges, {name: own for own, name in called.items()})
    return ranges


def _recipe(alone: tuple[str, ...]) -> list[Any]:
    from ai_edge_quantizer import recipe

    left = [(".*", op) for op in alone] + [(f"{COPY};?$", "*")]
    [usual] = recipe.static_wi8_ai8()
    own = usual["op_config"]
    one_scale = own | {
        "weight_tensor_config": own["weight_tensor_config"] | {"granularity": "TENSORWISE"}
    }
    return [
        usual,
        *(usual | {"operation": op, "op_config": one_scale} for op in ONE_SCALE),
        *(
            {"regex": regex, "operation": op, "algorithm_key": "no_quantize", "op_config": {}}
            for regex, op in left
        ),
    ]


def _refuse_unbounded(statistics: Mapping[str, Mapping[str, Any]], own: Mapping[str, str]) -> None:
    """Refuse ranges that have no scale: kernels that were given one have ended the process."""
    for name, found in statistics.items():
        if not all(np.isfinite(bound).all() for bound in found.values()):
            raise BuildFailedError(
                f"tensor '{own.get(name, name)}' is NaN or infinite on the calibration rows, "
                "which 8 bits have no scale for: leave out the rows that make it so, "
                "or build tflite:int8+dynamic"
            )


def _called(job: BuildJob, full: Path) -> dict[str, str]:
    """Return what the file calls the model's inputs and outputs; nothing where it is the model."""
    if came_as_tflite(job):
        return {}
    import onnx

    from insight_edge.compile.graph.shapes import specs_of

    inputs, outputs = specs_of(onnx.load(job.model, load_external_data=False))
    return converted_names(full, [one.name for one in inputs], [one.name for one in outputs])


def _blocks(feeds: Iterator[Arrays]) -> Iterator[list[Arrays]]:
    while block := list(islice(feeds, FEEDS_AT_ONCE)):
        yield block


def _bytes(quantizer: Any, statistics: Any) -> bytes:
    done = quantizer.quantize(statistics, enable_progress_report=False)
    return shared(bytes(done.quantized_model))
