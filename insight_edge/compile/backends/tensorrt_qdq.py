# SPDX-License-Identifier: Apache-2.0
"""INT8 as TensorRT reads it: pairs of QuantizeLinear and DequantizeLinear, about 0, no bias.

The flavour that is fast in ONNX Runtime (unsigned, biases of 32 bits) does not
parse here. The face of the model stays as it is.
"""

from pathlib import Path

from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import CalibrationRows, Reader
from insight_edge.compile.quantize.qdq_ready import made_ready

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

    path = scratch / "int8.onnx"
    quantize_static(
        made_ready(Path(job.model), named=False),
        path,
        Reader(CalibrationRows(job)),
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
