# SPDX-License-Identifier: Apache-2.0
"""A model of MLServer, which answers the Open Inference Protocol in JSON; bytes it refuses."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from onnx_session import session


class Model(MLModel):  # type: ignore[misc]
    """A row in, a row out."""

    async def load(self) -> bool:
        """Load the model."""
        self._answer = session()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Ask it."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        y = NumpyCodec.encode_output("y", self._answer(rows))
        return InferenceResponse(model_name=self.name, outputs=[y])
