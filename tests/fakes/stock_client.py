# SPDX-License-Identifier: Apache-2.0
"""Ask a server with a stock `tritonclient`: `stock_client.py HOST:PORT WHAT`, and nothing of ours.

It serves version 3 of a model `matrix`, which answers a row of ones with threes.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.http as stock
from tritonclient.utils import InferenceServerException

MODEL = "matrix"
ROWS = np.ones((5, 8), np.float32)


def main() -> None:
    address, what = sys.argv[1:]
    with stock.InferenceServerClient(address, concurrency=4) as client:
        ASKING[what](client)
    sys.stdout.write("content\n")


def told(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "3")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "insight-edge"
    model = client.get_model_metadata(MODEL)
    assert (model["versions"], model["inputs"][0]["shape"]) == (["3"], [-1, 8])
    [entry] = client.get_model_repository_index()
    assert (entry["name"], entry["state"]) == (MODEL, "READY")


def json(client: Any) -> None:
    _expect(client.infer(MODEL, [_input(binary=False)], outputs=[_output(binary=False)]))


def binary(client: Any) -> None:
    _expect(client.infer(MODEL, [_input()], outputs=[_output()]))
    _expect(client.infer(MODEL, [_input()], model_version="3"))


def mixed(client: Any) -> None:
    _expect(client.infer(MODEL, [_input(binary=False)], outputs=[_output()]))
    answer = client.infer(
        MODEL, [_input()], outputs=[_output(binary=False)], request_id="mine",
        parameters={"key": "part-7", "flags": True},
    )  # fmt: skip
    _expect(answer)
    response = answer.get_response()
    assert response["id"] == "mine"
    assert response["parameters"]["bundle"].startswith("sha256:")
    assert "flags" in response["parameters"]


def compressed(client: Any) -> None:
    for way in ("gzip", "deflate"):
        for how in (True, False):
            _expect(client.infer(
                MODEL, [_input(binary=how)], outputs=[_output(binary=how)],
                request_compression_algorithm=way, response_compression_algorithm=way,
            ))  # fmt: skip


def many_at_once(client: Any) -> None:
    for asked in [client.async_infer(MODEL, [_input()]) for _ in range(50)]:
        _expect(asked.get_result())


def refused(client: Any) -> None:
    short = stock.InferInput("x", [1, 3], "FP32")
    short.set_data_from_numpy(np.ones((1, 3), np.float32))
    asking: dict[str, Callable[[], Any]] = {
        "input 'x': expected float32 (batch, 8)": lambda: client.infer(MODEL, [short]),
        "version 3 does": lambda: client.infer(MODEL, [_input()], model_version="9"),
        "there is no model 'other'": lambda: client.infer("other", [_input()]),
        "no state is kept": lambda: client.infer(MODEL, [_input()], sequence_id=7),
        "no such address": lambda: client.get_model_config(MODEL),
    }
    for said, ask in asking.items():
        assert said in _complaint(ask)


def statistics(client: Any) -> None:
    client.infer(MODEL, [_input()])
    [model] = client.get_inference_statistics(MODEL)["model_stats"]
    assert model["inference_stats"]["success"]["count"] == model["execution_count"] > 0
    assert client.get_inference_statistics()["model_stats"] == [model]


def _input(*, binary: bool = True) -> Any:
    tensor = stock.InferInput("x", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    return tensor


def _output(*, binary: bool = True) -> Any:
    return stock.InferRequestedOutput("y", binary_data=binary)


def _complaint(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except InferenceServerException as error:
        return str(error.message())
    return "nothing"


def _expect(answer: Any) -> None:
    found = answer.as_numpy("y")
    assert (found.shape, found.dtype) == ((5, 4), np.float32)
    assert np.all(found == 3)


ASKING: dict[str, Callable[[Any], None]] = {
    "told": told,
    "json": json,
    "binary": binary,
    "mixed": mixed,
    "compressed": compressed,
    "many at once": many_at_once,
    "refused": refused,
    "statistics": statistics,
}

if __name__ == "__main__":
    main()
