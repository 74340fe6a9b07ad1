# SPDX-License-Identifier: Apache-2.0
"""A program of LitServe, JSON in and out, with one worker: `litserve_app.py PORT`."""

import sys
from typing import Any

import litserve
import numpy as np
from onnx_session import session


class Api(litserve.LitAPI):  # type: ignore[misc]
    """A row in, a row out."""

    def setup(self, device: str) -> None:
        """Load the model."""
        del device
        self._answer = session()

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Return the row."""
        return np.array(request["x"], np.float32)

    def predict(self, x: Any) -> Any:
        """Ask the model."""
        return self._answer(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Return what is sent."""
        return {"y": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
