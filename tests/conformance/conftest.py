# SPDX-License-Identifier: Apache-2.0
"""One small artifact for each engine; whoever adds an engine adds a factory here."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from numpy.typing import NDArray

from tests.fakes import engine
from tests.fakes.engine_bundles import fake_artifact, onnx_artifact
from tests.fakes.tensorrt_models import tensorrt_artifact
from tests.fakes.tflite_models import tflite_artifact
from tests.fakes.tvm_models import tvm_artifact

Factory = Callable[[NDArray[Any]], dict[str, bytes]]


def openvino_artifact(weights: NDArray[Any]) -> dict[str, bytes]:
    import openvino

    model = openvino.Core().read_model(*onnx_artifact(weights).values())
    with TemporaryDirectory() as folder:
        openvino.save_model(model, Path(folder) / "model.xml", compress_to_fp16=False)
        return {name: (Path(folder) / name).read_bytes() for name in ("model.xml", "model.bin")}


FACTORIES: dict[str, Factory] = {
    engine.TOKEN: fake_artifact,
    "onnxruntime": onnx_artifact,
    "openvino": openvino_artifact,
    "tensorrt": tensorrt_artifact,
    "tflite": tflite_artifact,
    "tvm": tvm_artifact,
}

COPYING = frozenset({"tensorrt", "tflite"})
"""Engines that copy their inputs: to the GPU, into the arena. All others read them in place."""


@pytest.fixture(scope="session")
def factories() -> dict[str, Factory]:
    """By token: what makes an artifact of `tests.fakes.engine.answers` for given weights."""
    return FACTORIES
