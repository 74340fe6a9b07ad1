# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from insight_edge.compile.graph.check import check_model
from insight_edge.compile.graph.workload import peak_live_bytes, workload_from_onnx
from insight_edge.documents.workload import Workload
from insight_edge.errors import ModelError
from tests.fakes.onnx_models import (
    Shape,
    conv_model,
    graph_of,
    model_of,
    recurrent_model,
    relu_model,
    value,
    weights_of,
)


def workload(model: ModelProto) -> Workload:
    check_model(model)
    return workload_from_onnx(model, "sha256:0")


def flops_of(node: NodeProto, shape: Shape, out: Shape, **weights: Sequence[int]) -> int:
    model = model_of([node], [value("x", shape)], [value("y", out)], weights_of(0, **weights))
    return workload(model).flops


def test_conv_model_has_the_figures_worked_out_by_hand() -> None:
    found = workload(conv_model())
    conv1 = 16 * 16 * 16 * (2 * 3 * 9 + 1)
    conv2 = 32 * 8 * 8 * (2 * 16 * 9)
    expected = {
        "Conv_0": conv1,
        "Relu_1": 16 * 256,
        "MaxPool_2": 16 * 64 * 4,
        "Conv_3": conv2,
        "Relu_4": 32 * 64,
        "GlobalAveragePool_5": 32 * 64,
        "Flatten_6": 0,
        "Gemm_7": 10 * (2 * 32 + 1),
    }
    assert {o.name: o.flops for o in found.operations} == expected
    assert found.flops == sum(expected.values())
    assert found.parameter_bytes == 4 * (16 * 27 + 16 + 32 * 144 + 320 + 10)
    # Both sides of the first Relu are alive at once.
    assert found.peak_live_bytes == 2 * 4 * 16 * 256
    assert found.unknown_ops == ()
    assert found.opset == 18
    assert [(s.name, s.dtype, s.shape) for s in found.inputs] == [
        ("x", "float32", ("batch", 3, 16, 16))
    ]
    assert [(s.name, s.dtype, s.shape) for s in found.outputs] == [
        ("logits", "float32", ("batch", 10))
    ]


def test_conv_reads_and_writes_activations_and_weights() -> None:
    first = workload(conv_model()).operations[0]
    assert first.read_bytes == 4 * (3 * 256 + 16 * 27 + 16)
    assert first.written_bytes == 4 * 16 * 256
    assert first.parameter_bytes == 4 * (16 * 27 + 16)


@pytest.mark.parametrize(
    ("node", "shape", "out", "weights", "expected"),
    [
        (helper.make_node("MatMul", ["x", "w"], ["y"]), ("n", 7, 5), ("n", 7, 3),
         {"w": (5, 3)}, 2 * 7 * 5 * 3),
        (helper.make_node("Gemm", ["x", "w"], ["y"], transA=1), (5, 2), (2, 3),
         {"w": (5, 3)}, 2 * 2 * 5 * 3),
        (helper.make_node("Conv", ["x", "w"], ["y"], group=4), (1, 4, 6), (1, 4, 4),
         {"w": (4, 1, 3)}, 2 * 4 * 4 * 3),
        (helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], dilations=[2, 2]),
         (1, 2, 9, 9), (1, 3, 3, 3), {"w": (3, 2, 3, 3)}, 2 * 27 * 2 * 9),
        (helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], strides=[2]),
         (1, 4, 5), (1, 6, 11), {"w": (4, 6, 3), "b": (6,)}, 2 * 20 * 6 * 3 + 66),
        (helper.make_node("Softmax", ["x"], ["y"]), (1, 10), (1, 10), {}, 50),
        (helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3]), (1, 2, 5, 5),
         (1, 2, 3, 3), {}, 18 * 9),
        (helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0), (1, 6), (), {}, 6),
        (helper.make_node("LayerNormalization", ["x", "w"], ["y"]), (1, 8), (1, 8),
         {"w": (8,)}, 56),
        (helper.make_node("Transpose", ["x"], ["y"]), (2, 3), (3, 2), {}, 0),
        (helper.make_node("Tanh", ["x"], ["y"]), (2, 3), (2, 3), {}, 6),
    ],
)  # fmt: skip
def test_flops_equal_the_formula(
    node: NodeProto, shape: Shape, out: Shape, weights: dict[str, Sequence[int]], expected: int
) -> None:
    assert flops_of(node, shape, out, **weights) == expected


@pytest.mark.parametrize(("op", "gates", "state"), [("LSTM", 4, 9), ("GRU", 3, 8)])
def test_recurrent_flops_equal_the_formula(op: str, gates: int, state: int) -> None:
    found = workload(recurrent_model(op))
    per_element = gates * (2 * (4 + 8) + 4) + state
    assert found.flops == 6 * 8 * per_element


@pytest.mark.parametrize("width", [8, 32])
@pytest.mark.parametrize("depth", [1, 3])
def test_residual_network_equals_its_formula(width: int, depth: int) -> None:
    size = 12
    nodes: list[NodeProto] = []
    weights: dict[str, NDArray[np.float32]] = {}
    name = "x"
    for block in range(depth):
        first, second, total, rest = (f"{kind}{block}" for kind in "abst")
        weights |= weights_of(block, **{f"u{block}": (width, width, 3, 3)})
        weights |= weights_of(block, **{f"v{block}": (width, width, 3, 3)})
        nodes += [
            helper.make_node("Conv", [name, f"u{block}"], [first], pads=[1] * 4),
            helper.make_node("Relu", [first], [rest]),
            helper.make_node("Conv", [rest, f"v{block}"], [second], pads=[1] * 4),
            helper.make_node("Add", [second, name], [total]),
        ]
        name = total
    shape = ("batch", width, size, size)
    found = workload(model_of(nodes, [value("x", shape)], [value(name, shape)], weights))
    elements = width * size * size
    assert found.flops == depth * (2 * elements * 2 * width * 9 + 2 * elements)
    # The input of a block stays alive beside the two sides of a convolution.
    assert found.peak_live_bytes == 3 * 4 * elements
    assert found.parameter_bytes == depth * 2 * 4 * width * width * 9


def test_weights_shared_by_two_nodes_count_once() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]),
             helper.make_node("MatMul", ["a", "w"], ["y"])]  # fmt: skip
    found = workload(
        model_of(nodes, [value("x", (1, 4))], [value("y", (1, 4))], weights_of(0, w=(4, 4)))
    )
    assert [o.parameter_bytes for o in found.operations] == [64, 0]
    assert [o.read_bytes for o in found.operations] == [80, 80]


def test_gather_reads_what_it_writes_and_not_the_table() -> None:
    node = helper.make_node("Gather", ["w", "x"], ["y"])
    model = model_of([node], [value("x", (3,), TensorProto.INT64)], [value("y", (3, 8))],
                     weights_of(0, w=(1000, 8)))  # fmt: skip
    found = workload(model).operations[0]
    assert found.read_bytes == 3 * 8 * 4 + 3 * 8
    assert found.parameter_bytes == 32_000


def test_constant_nodes_are_weights() -> None:
    constant = helper.make_node(
        "Constant", [], ["w"], value=helper.make_tensor("w", TensorProto.FLOAT, [4, 2], [0.5] * 8)
    )
    nodes = [constant, helper.make_node("MatMul", ["x", "w"], ["y"])]
    found = workload(model_of(nodes, [value("x", (1, 4))], [value("y", (1, 2))]))
    assert [o.op for o in found.operations] == ["MatMul"]
    assert found.parameter_bytes == 32
    assert found.peak_live_bytes == 16 + 8


def test_unknown_arithmetic_is_named_and_not_guessed() -> None:
    node = helper.make_node("Det", ["x"], ["y"])
    found = workload(model_of([node], [value("x", (1, 3, 3))], [value("y", (1,))]))
    assert found.unknown_ops == ("Det",)
    assert found.flops == 0


def test_tensors_a_subgraph_takes_from_outside_are_read_by_its_node() -> None:
    then = graph_of([helper.make_node("Relu", ["big"], ["t"])], [], [value("t", (1, 8))])
    other = graph_of([helper.make_node("Neg", ["big"], ["e"])], [], [value("e", (1, 8))])
    nodes = [
        helper.make_node("Identity", ["x"], ["big"]),
        helper.make_node("Identity", ["c"], ["kept"]),
        helper.make_node("If", ["kept"], ["y"], then_branch=then, else_branch=other),
    ]
    model = model_of(
        nodes,
        [value("x", (1, 8)), value("c", (), TensorProto.BOOL)],
        [value("y", (1, 8))],
    )
    found = workload(model)
    assert found.unknown_ops == ()
    assert [(o.op, o.read_bytes) for o in found.operations[2:]] == [
        ("If", 1), ("Neg", 32), ("Relu", 0),
    ]  # fmt: skip
    # What the branch takes from outside, what it makes and what the node makes of that.
    assert found.peak_live_bytes == 3 * 32 + 1


def scored(op: str, depth: int) -> GraphProto:
    """A branch that multiplies `x` (1, 8) with a square matrix so many times."""
    names = ["x", *(f"{op}{i}" for i in range(depth))]
    nodes = [helper.make_node("MatMul", [a, f"w{op}"], [b]) for a, b in pairwise(names)]
    shape = (1, 8)
    graph = graph_of(nodes, [], [value(names[-1], shape)], weights_of(0, **{f"w{op}": (8, 8)}))
    graph.name = op
    return graph


def test_of_an_if_the_costlier_branch_counts_and_the_weights_of_both() -> None:
    node = helper.make_node(
        "If", ["c"], ["y"], name="choose", then_branch=scored("a", 3), else_branch=scored("b", 1)
    )
    inputs = [value("x", (1, 8)), value("c", (), TensorProto.BOOL)]
    found = workload(model_of([node], inputs, [value("y", (1, 8))]))
    assert found.flops == 3 * 2 * 8 * 8
    assert found.parameter_bytes == 2 * 4 * 64
    assert [(o.name, o.flops) for o in found.operations] == [
        ("choose", 0),
        ("choose/b/MatMul_0", 0),
        *((f"choose/a/MatMul_{i}", 128) for i in range(3)),
    ]
    assert found.unknown_ops == ()


def loop_of(times: int | None) -> ModelProto:
    body = graph_of(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Mul", ["v", "v"], ["u"])],
        [value("i", (), TensorProto.INT64), value("go", (), TensorProto.BOOL), value("v", (1, 4))],
        [value("on", (), TensorProto.BOOL), value("u", (1, 4))],
    )
    inputs = [value("x", (1, 4))]
    if times is None:
        inputs.append(value("n", (), TensorProto.INT64))
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    weights = {} if times is None else {"n": np.array(times, np.int64)}
    return model_of([node], inputs, [value("y", (1, 4))], weights)


def test_body_of_a_loop_counts_as_often_as_the_file_says() -> None:
    found = workload(loop_of(5))
    assert (found.flops, found.unknown_ops) == (5 * 4, ())
    assert [o.op for o in found.operations] == ["Loop", "Identity", "Mul"]
    # Besides input and output of the loop: number, condition and both sides of the product.
    assert found.peak_live_bytes == 2 * 16 + (8 + 1 + 16 + 16)


def test_loop_of_unknown_length_counts_once_and_is_unknown() -> None:
    found = workload(loop_of(None))
    assert (found.flops, found.unknown_ops) == (4, ("Loop",))


def test_loop_that_no_machine_finishes_is_refused() -> None:
    with pytest.raises(ModelError, match="more than any machine does"):
        workload(loop_of(2**62))


def test_body_of_a_scan_counts_once_for_each_slice() -> None:
    body = graph_of(
        [helper.make_node("Add", ["s", "e"], ["t"]), helper.make_node("Identity", ["t"], ["o"])],
        [value("s", (4,)), value("e", (4,))],
        [value("t", (4,)), value("o", (4,))],
    )
    node = helper.make_node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1)
    outputs = [value("last", (4,)), value("y", (7, 4))]
    weights = {"start": np.zeros(4, np.float32)}
    found = workload(model_of([node], [value("x", (7, 4))], outputs, weights))
    assert (found.flops, found.unknown_ops) == (7 * 4, ())


def test_free_dimension_that_leaves_nothing_is_unknown_and_not_negative() -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]),
             helper.make_node("GlobalAveragePool", ["c"], ["y"])]  # fmt: skip
    found = workload(
        model_of(nodes, [value("x", ("n", 3, "h", "w_"))], [value("y", ("n", 4, 1, 1))],
                 weights_of(0, w=(4, 3, 3, 3)))
    )  # fmt: skip
    assert found.unknown_ops == ("Conv", "GlobalAveragePool")
    assert found.flops == 0


def test_functions_count_as_what_they_hold() -> None:
    body = helper.make_function(
        "own", "Twice", ["a"], ["b"],
        [helper.make_node("Relu", ["a"], ["m"]), helper.make_node("Relu", ["m"], ["b"])],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    model = relu_model()
    model.graph.node[0].CopyFrom(helper.make_node("Twice", ["x"], ["y"], domain="own"))
    model.functions.append(body)
    model.opset_import.append(helper.make_opsetid("own", 1))
    assert [o.op for o in workload(model).operations] == ["Relu", "Relu"]


def test_dimension_without_a_name_gets_one() -> None:
    assert workload(relu_model((None, 4))).inputs[0].shape == ("batch", 4)  # type: ignore[arg-type]


def test_tensor_beyond_any_memory_is_refused() -> None:
    node = helper.make_node("ConstantOfShape", ["s"], ["y"])
    other = helper.make_node("Relu", ["x"], ["z"])
    model = model_of(
        [node, other], [value("x", (1,))], [value("y", ("a", "b")), value("z", (1,))],
        {"s": np.array([2**30, 2**30], np.int64)},
    )  # fmt: skip
    with pytest.raises(ModelError, match="tensor 'y' is"):
        workload(model)


@st.composite
def straight_lines(draw: st.DrawFn) -> tuple[list[int], list[set[int]]]:
    """Sizes of tensors 0..n, and which earlier tensors step i, writing tensor i + 1, reads."""
    sizes = draw(st.lists(st.integers(0, 100), min_size=2, max_size=12))
    reads = [
        draw(st.sets(st.integers(0, i), min_size=1, max_size=3)) for i in range(len(sizes) - 1)
    ]
    return sizes, reads


@given(straight_lines())
def test_peak_equals_that_of_a_plain_simulation(lines: tuple[list[int], list[set[int]]]) -> None:
    sizes, reads = lines
    assume(any(0 in read for read in reads))  # an input nobody reads has a test of its own
    last = len(sizes) - 1

    def alive(step: int) -> set[int]:
        written = {0, *range(1, step + 2)}
        needed = {t for later in range(step, len(reads)) for t in reads[later]} | {last, step + 1}
        return written & needed

    expected = max([sizes[0], *(sum(sizes[t] for t in alive(s)) for s in range(len(reads)))])
    steps = [(frozenset(map(str, r)), frozenset({str(i + 1)})) for i, r in enumerate(reads)]
    lengths = {str(t): size for t, size in enumerate(sizes)}
    assert peak_live_bytes({"0"}, {str(last)}, steps, lengths) == expected


def test_input_nobody_reads_lives_throughout() -> None:
    steps = [(frozenset({"a"}), frozenset({"y"}))]
    assert peak_live_bytes({"a", "idle"}, {"y"}, steps, {"a": 1, "idle": 10, "y": 1}) == 12
