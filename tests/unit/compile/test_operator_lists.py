# SPDX-License-Identifier: Apache-2.0
"""What plans know of operators, against the toolchains that it was read from."""

import json
import subprocess
from pathlib import Path

import onnx
import openvino
import pytest
from onnx import helper

from insight_edge.compile.backends import (
    onnxruntime_operators,
    openvino_operators,
    tflite_operators,
)
from insight_edge.compile.graph.check import OPSETS
from insight_edge.compile.refusals.refusal import Refusal
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.documents.workload import Operation, Workload
from insight_edge.errors import ToolchainMissingError

OPEN_END = 2**31 - 1

LOWERED = """
import json
from onnx2tf.tflite_builder.lower_from_onnx2tf import get_supported_onnx_ops
print(json.dumps(sorted(get_supported_onnx_ops())))
"""


def schema(op: str, opset: int) -> onnx.defs.OpSchema | None:
    try:
        found = onnx.defs.get_schema(op, opset, "")
    except onnx.defs.SchemaError:
        return None
    return None if found.deprecated else found


def operators() -> list[str]:
    """Return every standard operator of the opsets that are compiled."""
    history = onnx.defs.get_all_schemas_with_history()
    names = {s.name for s in history if s.domain == "" and s.since_version < OPSETS.stop}
    return sorted(n for n in names - {"Constant"} if any(schema(n, v) for v in OPSETS))


def workload_of(*ops: str, opset: int = 18) -> Workload:
    work = tuple(
        Operation(name=f"the {op}", op=op, flops=0, read_bytes=0, written_bytes=0) for op in ops
    )
    return Workload(
        model_digest="sha256:0",
        opset=opset,
        inputs=(),
        outputs=(),
        operations=work,
        flops=0,
        parameter_bytes=0,
        peak_live_bytes=0,
    )


def has_kernel(op: str, opset: int, kernels: dict[str, set[tuple[int, int]]]) -> bool:
    found = schema(op, opset)
    if found is None:
        return False
    if found.has_function or found.has_context_dependent_function:
        return True
    since = found.since_version
    return any(
        first == since or (first < since <= last and last != OPEN_END)
        for first, last in kernels.get(op, ())
    )


def test_onnxruntime_has_kernels_for_all_but_what_is_listed() -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        get_all_opkernel_def,
    )

    kernels: dict[str, set[tuple[int, int]]] = {}
    for kernel in get_all_opkernel_def():
        if kernel.provider == "CPUExecutionProvider" and kernel.domain == "":
            kernels.setdefault(kernel.op_name, set()).add(tuple(kernel.version_range))
    before = {op for op in operators() if any(has_kernel(op, v, kernels) for v in range(11, 22))}
    lacking = {op for op in operators() if not has_kernel(op, OPSETS[-1], kernels)}
    # The body of Bernoulli needs one of the others.
    assert lacking & before == onnxruntime_operators.UNSUPPORTED_AT_22 - {"Bernoulli"}
    assert lacking - before == onnxruntime_operators.UNSUPPORTED


def converts(op: str) -> bool:
    """Return whether OpenVINO has a rule for an operator; what it is called with is nonsense."""
    opset = next(version for version in (18, *reversed(OPSETS)) if schema(op, version))
    found = onnx.defs.get_schema(op, opset, "")
    inputs = [f"i{index}" for index in range(max(1, found.min_input))]
    node = helper.make_node(op, inputs, ["o"])
    faces = [helper.make_tensor_value_info(name, 1, None) for name in inputs]
    out = helper.make_tensor_value_info("o", 1, None)
    graph = helper.make_graph([node], "g", faces, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    try:
        openvino.Core().read_model(model.SerializeToString())
    except RuntimeError as error:
        return f"operations: {op}-" not in str(error)
    return True


def test_openvino_has_no_rule_for_what_is_listed_and_one_for_common_operators() -> None:
    listed = openvino_operators.UNSUPPORTED
    assert {op for op in listed if converts(op)} == set()
    common = {"Conv", "Gelu", "GridSample", "NonZero", "Softmax", "TopK", "Unique"}
    assert {op for op in common if not converts(op)} == set()


def test_onnx2tf_lowers_all_but_what_is_listed(tmp_path: Path) -> None:
    try:
        python = environment_python("toolchain-tflite")
    except ToolchainMissingError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [python, "-c", LOWERED], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    lowered = set(json.loads(done.stdout.splitlines()[-1]))
    assert set(operators()) - lowered == tflite_operators.UNSUPPORTED


@pytest.mark.parametrize(
    ("unsupported", "op"),
    [
        (onnxruntime_operators.unsupported_operators, "ImageDecoder"),
        (openvino_operators.unsupported_operators, "Det"),
        (openvino_operators.unsupported_operators, "ai.onnx.ml.Scaler"),
        (tflite_operators.unsupported_operators, "Multinomial"),
    ],
    ids=["onnxruntime", "openvino", "openvino-ml", "tflite"],
)
def test_refusal_names_the_operator_and_its_node(unsupported: object, op: str) -> None:
    assert callable(unsupported)
    assert unsupported(workload_of("Conv", "Relu")) is None
    refusal = unsupported(workload_of("Conv", op, op))
    assert isinstance(refusal, Refusal)
    assert op in refusal
    assert refusal.hint == f"replace {op} (node 'the {op}' and 1 more)"


def test_operator_of_opset_22_is_refused_there_alone() -> None:
    unsupported = onnxruntime_operators.unsupported_operators
    assert unsupported(workload_of("RoiAlign", opset=21)) is None
    refusal = unsupported(workload_of("RoiAlign", opset=22))
    assert refusal is not None
    assert refusal.hint.startswith("export at opset 18")
