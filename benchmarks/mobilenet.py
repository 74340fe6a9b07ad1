# SPDX-License-Identifier: Apache-2.0
"""A MobileNet of 224x224 in INT8 to hold other costs against: its weights are drawn."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import rows, write_onnx

CALIBRATION_ROWS = 4
"""What the numbers are makes no difference to how long they take."""

Rows = NDArray[np.float32]


def quantized_mobilenet(place: Path) -> Callable[[Rows], NDArray[Any]]:
    """Return one inference of it by one thread of ONNX Runtime; `place` takes the files."""
    import onnxruntime
    from onnxruntime.quantization import QuantFormat, quantize_static

    model, quantized = place / "mobile.onnx", place / "mobile-int8.onnx"
    write_onnx("mobile", model)
    quantize_static(model, quantized, _Calibration(), QuantFormat.QDQ, per_channel=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(quantized, options, providers=["CPUExecutionProvider"])

    def infer(x: Rows) -> NDArray[Any]:
        answer: NDArray[Any] = session.run(None, {"x": x})[0]
        return answer

    return infer


class _Calibration:
    def __init__(self) -> None:
        self._rows: Iterator[Rows] = iter(rows("mobile", CALIBRATION_ROWS)[:, None])

    def get_next(self) -> dict[str, Rows] | None:
        """Return the next row, None after the last: what `quantize_static` asks for."""
        row = next(self._rows, None)
        return None if row is None else {"x": row}
