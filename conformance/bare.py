# SPDX-License-Identifier: Apache-2.0
"""Each engine as its own documents say it is used on an ONNX file, with nothing of ours around it.

What it does not take is its failure. FP32 arithmetic is asked for where an engine
would choose less by itself, so that what is compared is the same.
"""

import importlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conformance.corpus import Asked

Values = Mapping[str, Any]
Infer = Callable[[Values], dict[str, Any]]
Engine = Callable[[Path, Path, Asked], Infer | None]
"""Given a model, a scratch directory and one question: what answers, None where nothing can."""

CHANNELS_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}
CAPABILITY = "SM89"


def onnxruntime_itself(model: Path, scratch: Path, first: Asked) -> Infer:  # noqa: ARG001 (an `Engine`)
    """Load with ONNX Runtime's defaults."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def openvino_itself(model: Path, scratch: Path, first: Asked) -> Infer:  # noqa: ARG001 (an `Engine`)
    """Load with OpenVINO's own reader of ONNX."""
    import openvino

    core = openvino.Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}
    compiled = core.compile_model(core.read_model(model), "CPU", config)
    taken = {name for port in compiled.inputs for name in port.get_names()}

    def infer(inputs: Values) -> dict[str, Any]:
        # Arrays that onnx reads cannot be written to, and OpenVINO takes no such.
        fed = {name: np.array(value) for name, value in inputs.items() if name in taken}
        found = compiled(fed)
        return {name: found[port] for port in compiled.outputs for name in port.get_names()}

    return infer


def tflite_itself(model: Path, scratch: Path, first: Asked) -> Infer:
    """Convert with onnx2tf's defaults; axes that it moved are moved back, as its users do."""
    import onnx2tf
    from ai_edge_litert.interpreter import Interpreter

    # It writes into the file that it reads.
    copy = shutil.copyfile(model, scratch / "model.onnx")
    onnx2tf.convert(
        input_onnx_file_path=str(copy),
        output_folder_path=str(scratch),
        copy_onnx_input_output_names_to_tflite=True,
        non_verbose=True,
    )
    file = scratch / "model_float32.tflite"
    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details(), interpreter.get_output_details()
    names = list(first.inputs), list(first.outputs)

    def infer(inputs: Values) -> dict[str, Any]:
        for details in taken:
            value = np.asarray(inputs[_matching(details["name"], names[0], taken, details)])
            interpreter.set_tensor(details["index"], _moved(value, details["shape"]))
        interpreter.invoke()
        found = {}
        for details in given:
            name = _matching(details["name"], names[1], given, details)
            found[name] = _back(interpreter.get_tensor(details["index"]), first.outputs[name])
        return found

    return infer


def tvm_itself(model: Path, scratch: Path, first: Asked) -> Infer:  # noqa: ARG001 (an `Engine`)
    """Compile with TVM's own pipeline for LLVM, untuned."""
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    module = from_onnx(onnx.load(model), keep_params_in_input=False)
    target = tvm.target.Target({"kind": "llvm"})
    machine = relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())

    def infer(inputs: Values) -> dict[str, Any]:
        answer = machine["main"](*[tvm.runtime.tensor(np.asarray(v)) for v in inputs.values()])
        parts = [answer] if hasattr(answer, "numpy") else list(answer)
        return dict(zip(first.outputs, (part.numpy() for part in parts), strict=False))

    return infer


def tensorrt_itself(model: Path, scratch: Path, first: Asked) -> None:  # noqa: ARG001 (an `Engine`)
    """Parse and build for one kind of GPU; there is none here that would execute it."""
    trt: Any = importlib.import_module("tensorrt_rtx_bindings")

    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(model)):
        raise RuntimeError(str(parser.get_error(0)) if parser.num_errors else "not parsed")
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, CAPABILITY), 0)
    if builder.build_serialized_network(network, config) is None:
        raise RuntimeError("the builder returned no plan")


ENGINES: dict[str, Engine] = {
    "onnxruntime": onnxruntime_itself,
    "openvino": openvino_itself,
    "tensorrt": tensorrt_itself,
    "tflite": tflite_itself,
    "tvm": tvm_itself,
}


def _matching(found: str, names: list[str], side: list[Any], details: Any) -> str:
    """Return the model's name of a file's tensor: by name, or by place where that was changed."""
    plain = found.removeprefix("serving_default_").split(":")[0]
    return plain if plain in names else names[side.index(details)]


def _moved(value: Any, shape: Any) -> Any:
    axes = CHANNELS_LAST.get(value.ndim)
    if tuple(shape) == value.shape or axes is None:
        return value
    return value.transpose(axes)


def _back(answer: Any, wanted: Any) -> Any:
    axes = CHANNELS_LAST.get(answer.ndim)
    if axes is None or answer.shape == np.shape(wanted):
        return answer
    return answer.transpose(np.argsort(axes))
