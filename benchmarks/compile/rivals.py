# SPDX-License-Identifier: Apache-2.0
"""What other tools make of a model, and how people run it without any.

Each is loaded in a process of its own (`benchmarks.peers`) with one thread, on
the processor it is pinned to. What a tool cannot make is a reason, no error.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Infer, Rows
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import CompileError

ENVIRONMENT = "toolchain-peers"
TIMEOUT_S = 1800
METHODS = {"olive": "Olive", "ort": "ONNX Runtime INT8 by hand", "nncf": "NNCF by hand"}


def quantised_by(method: str, model: Path, rows: Path, place: Path) -> Path:
    """Return the artifact that a peer makes with the given calibration rows.

    Raises:
        ToolchainMissingError: the peers are not installed.
        CompileError: it makes none; its last words say why.
    """
    place.mkdir(parents=True)
    script = Path(__file__).with_name("peers_child.py")
    log = place / "log"
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                [environment_python(ENVIRONMENT), script, method, model, rows, place],
                cwd=place,  # one of them leaves a file behind where it fails
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CompileError(f"not done within {TIMEOUT_S} s") from error
    if done.returncode:
        lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise CompileError(lines[-1])
    for name in ("model.onnx", "model.xml"):
        if (place / name).exists():
            return place / name
    raise CompileError("it ended well and made nothing")


def pinned(opening: Callable[..., Infer], cpus: tuple[int, ...], *arguments: Any) -> Infer:
    """Return what an opening loads, on some processors only."""
    os.sched_setaffinity(0, cpus)
    return opening(*arguments)


def network_eager(name: str, weights: Path) -> Infer:
    """Return a network of the zoo as PyTorch runs it after training."""
    import torch

    from zoo.networks import network

    torch.set_num_threads(1)
    net = network(name)
    net.load_state_dict(torch.load(weights, weights_only=True))
    net.eval()

    def infer(rows: Rows) -> NDArray[Any]:
        with torch.inference_mode():
            answer: NDArray[Any] = net(torch.from_numpy(rows)).numpy()
        return answer

    return infer


def session_of_onnxruntime(model: Path) -> Infer:
    """Return an ONNX file in a default session of one thread; the first output."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    asked, first = session.get_inputs()[0].name, session.get_outputs()[0].name

    def infer(rows: Rows) -> NDArray[Any]:
        answer: NDArray[Any] = session.run([first], {asked: rows})[0]
        return answer

    return infer


def model_of_openvino(model: Path) -> Infer:
    """Return an OpenVINO model as it is by default, in one thread; the first output."""
    import openvino

    config = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(model, "CPU", config)
    request = compiled.create_infer_request()

    def infer(rows: Rows) -> NDArray[Any]:
        answer: NDArray[Any] = np.array(request.infer([rows])[0])
        return answer

    return infer


def opening_of(artifact: Path) -> Callable[[Path], Infer]:
    """Return what loads an artifact of a peer."""
    return model_of_openvino if artifact.suffix == ".xml" else session_of_onnxruntime
