# SPDX-License-Identifier: Apache-2.0
"""How servers of one model are asked over HTTP, and how their answers are read: pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Form:
    """How rows are asked and answers read.

    Attributes:
        path: that is asked.
        body: of a request with some rows, and its fields.
        read: an answer's numbers of its body.
    """

    path: str
    body: Callable[[Rows], tuple[bytes, Mapping[str, str]]]
    read: Callable[[bytes], Any]

    def request(self, rows: Rows) -> bytes:
        """Return the bytes of a request."""
        body, fields = self.body(rows)
        lines = [f"POST {self.path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {text}" for name, text in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


def numbers(rows: Rows) -> Any:
    """Return rows as JSON has them, with as many digits as tell them apart."""
    shortest = [float(str(value)) for value in rows.ravel()]
    return np.array(shortest).reshape(rows.shape).tolist()


def _v2(rows: Rows) -> dict[str, Any]:
    return {"name": "x", "shape": list(rows.shape), "datatype": "FP32"}


def _v2_json(rows: Rows) -> tuple[bytes, Mapping[str, str]]:
    data = np.array(numbers(rows)).ravel().tolist()
    return _json({"inputs": [_v2(rows) | {"data": data}]})


def _v2_binary(rows: Rows) -> tuple[bytes, Mapping[str, str]]:
    tensor = _v2(rows) | {"parameters": {"binary_data_size": rows.nbytes}}
    head, _ = _json({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    return head + rows.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def _json(value: Any) -> tuple[bytes, Mapping[str, str]]:
    return json.dumps(value).encode(), {"Content-Type": "application/json"}


def _v2_data(body: bytes) -> Any:
    return json.loads(body)["outputs"][0]["data"]


def v2_form(model: str) -> Form:
    """Return how a server of the Open Inference Protocol is asked in JSON."""
    return Form(path=f"/v2/models/{model}/infer", body=_v2_json, read=_v2_data)


def binary_form(model: str, outputs: int) -> Form:
    """Return how it is asked in bytes; the last numbers of an answer are its output."""
    return Form(
        path=f"/v2/models/{model}/infer",
        body=_v2_binary,
        read=lambda body: np.frombuffer(body[-4 * outputs :], np.float32),
    )


RAW = Form(
    path="/",
    body=lambda rows: (rows.tobytes(), {}),
    read=lambda body: np.frombuffer(body, np.float32),
)
"""The floats, and not a word about them."""

LITSERVE = Form(
    path="/predict",
    body=lambda rows: _json({"x": numbers(rows)}),
    read=lambda body: json.loads(body)["y"],
)
BENTOML = Form(path="/infer", body=lambda rows: _json({"x": numbers(rows)}), read=json.loads)
