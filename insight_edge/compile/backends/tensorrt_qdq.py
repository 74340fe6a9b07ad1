# SPDX-License-Identifier: Apache-2.0
"""INT8 as TensorRT reads it: pairs of QuantizeLinear and DequantizeLinear, about 0, no bias.

The flavour that is fast in ONNX Runtime (unsigned, biases of 32 bits) does not
parse here. The face of the model stays as it is.
"""

from collections.abc import Iterator
from pathlib import Path

from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import Arrays, CalibrationRows

QUANTISED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""An integer constant is allowed right before a DequantizeLinear only; other operators, Gather of
an embedding first, would put one elsewhere."""


def symmetric_int8(job: BuildJob, scratch: Path) -> bytes:
    """Return a copy of a job's graph with 8-bit scales, from its rows, about 0 everywhere.

    Biases stay FP32: TensorRT takes no 32-bit integers into a DequantizeLinear.

    Raises:
        BuildFailedError: the job has no rows, or too few.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    feeds = _Feeds(iter(CalibrationRows(job)))
    prepared, path = scratch / "prepared.onnx", scratch / "int8.onnx"
    # What symbolic inference would add is known to the parser of TensorRT.
    quant_pre_process(job.model, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        path,
        feeds,
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(QUANTISED),
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
        },
    )
    return path.read_bytes()


class _Feeds:
    """Calibration rows as the quantiser asks for them."""

    def __init__(self, feeds: Iterator[Arrays]) -> None:
        self._feeds = feeds

    def get_next(self) -> Arrays | None:
        """Return the next rows by input name, None after the last."""
        return next(self._feeds, None)
