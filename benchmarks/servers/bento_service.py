# SPDX-License-Identifier: Apache-2.0
"""A service of BentoML, JSON in and out, asynchronous, with one worker."""

from typing import Any

import bentoml
import numpy as np
from numpy.typing import NDArray
from onnx_session import session


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Service:
    """A row in, a row out."""

    def __init__(self) -> None:
        self._answer = session()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def infer(self, x: np.ndarray) -> np.ndarray:
        """Ask the model."""
        answer: NDArray[Any] = self._answer(x.astype(np.float32))
        return answer
