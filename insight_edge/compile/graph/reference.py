# SPDX-License-Identifier: Apache-2.0
"""What an ONNX model answers on the workshop's reference engine, ONNX Runtime on the processor.

Nothing is timed here and no artifact is asked. What a model does wrong is in the
exception, whatever the engine raises, and not in its log.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from insight_edge.runtime.usage_data import send_none

Array = NDArray[Any]
FATAL = 4
"""The severity from which on the engine speaks."""


class Reference:
    """An ONNX model that is open to be asked."""

    def __init__(self, model: bytes | Path, *, as_written: bool = False) -> None:
        """Open a model; raises whatever the engine raises.

        Args:
            model: the file's bytes, or where it lies.
            as_written: operator by operator, none of them fused or folded.
        """
        send_none()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL
        if as_written:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        given = model if isinstance(model, bytes) else str(model)
        self._session = onnxruntime.InferenceSession(
            given, options, providers=["CPUExecutionProvider"]
        )

    def answers(
        self, inputs: Mapping[str, Array], names: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Return outputs by name, in order; all that the model has where none are named."""
        if names is None:
            names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


def answers(model: bytes | Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return what a model answers once, by output in order; raises whatever the engine raises."""
    return Reference(model).answers(inputs)
