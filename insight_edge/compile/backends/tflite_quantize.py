# SPDX-License-Identifier: Apache-2.0
"""Reduced precisions of an FP32 `.tflite` file, by ai-edge-quantizer.

Weights have a scale a channel. Inputs and outputs stay floats: what the file
converts inside costs less than NumPy would outside. Calibration rows are put
through a few at a time.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from insight_edge.compile.backends.tflite_names import came_as_tflite, converted_names
from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import Arrays, calibration_feeds
from insight_edge.errors import BuildFailedError
from insight_edge.runtime.engines.tflite import signature_key

DYNAMIC = "dynamic"

FEEDS_AT_ONCE = 16
"""The quantiser makes a list of what it is given."""

LEFT_ALONE = ("INPUT", "OUTPUT")
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
    from ai_edge_quantizer import quantizer, recipe

    rules = [
        *recipe.static_wi8_ai8(),
        *(
            {"regex": ".*", "operation": op, "algorithm_key": "no_quantize", "op_config": {}}
            for op in alone
        ),
    ]
    static = quantizer.Quantizer(str(full), rules)
    key, statistics = signature_key(full), None
    for feeds in _blocks(_named_feeds(job, full)):
        statistics = static.calibrate(
            {key: feeds}, previous_calibration_result=statistics, num_threads=1
        )
    return _bytes(static, statistics)


def _named_feeds(job: BuildJob, full: Path) -> Iterator[Arrays]:
    """Return the calibration rows by what the file calls its inputs."""
    if came_as_tflite(job):
        return calibration_feeds(job)
    import onnx

    from insight_edge.compile.graph.shapes import input_values

    values = input_values(onnx.load(job.model, load_external_data=False).graph)
    called = converted_names(full, [value.name for value in values], ())
    feeds = calibration_feeds(job)
    return ({called[name]: rows for name, rows in feed.items()} for feed in feeds)


def _blocks(feeds: Iterator[Arrays]) -> Iterator[list[Arrays]]:
    while block := list(islice(feeds, FEEDS_AT_ONCE)):
        yield block


def _bytes(quantizer: Any, statistics: Any) -> bytes:
    done = quantizer.quantize(statistics, enable_progress_report=False)
    return bytes(done.quantized_model)
