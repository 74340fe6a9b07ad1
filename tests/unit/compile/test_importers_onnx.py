# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from insight_edge.compile.graph.check import model_from_bytes
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import source_from_onnx
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.manifest import ModelInfo
from insight_edge.documents.source import SourceDescription
from insight_edge.documents.steps import Cast, Softmax
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError, ModelError
from tests.fakes.onnx_models import (
    conv_model,
    graph_of,
    model_of,
    relu_model,
    value,
    weights_of,
)


def refused(model: ModelProto) -> ModelError:
    with pytest.raises(ModelError) as caught:
        model_from_bytes(model.SerializeToString())
    assert "\n" not in str(caught.value)
    return caught.value


def dense_model() -> ModelProto:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return model_of([node], [value("x", (4,))], [value("y", (4,))], weights_of(0, w=(4,)))


def with_claim(*dims: int) -> ModelProto:
    model = dense_model()
    model.graph.initializer[0].dims[:] = dims
    return model


def with_claim_in_attribute() -> ModelProto:
    claims = TensorProto(name="big", data_type=TensorProto.FLOAT, dims=[2**40])
    nodes = [helper.make_node("Constant", [], ["w"], name="c", value=claims),
             helper.make_node("Add", ["x", "w"], ["y"])]  # fmt: skip
    return model_of(nodes, [value("x", (4,))], [value("y", (4,))])


def with_claim_in_subgraph() -> ModelProto:
    claims = TensorProto(name="deep", data_type=TensorProto.FLOAT, dims=[2**40])
    branch = graph_of([helper.make_node("Add", ["x", "deep"], ["t"])], [], [value("t", (4,))])
    branch.initializer.append(claims)
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    inputs = [value("x", (4,)), value("c", (), TensorProto.BOOL)]
    return model_of([node], inputs, [value("y", (4,))])


def with_external_data() -> ModelProto:
    model = dense_model()
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    return model


def with_custom_operator() -> ModelProto:
    model = relu_model()
    node = helper.make_node("Foo", ["x"], ["y"], name="third", domain="acme")
    model.graph.node[0].CopyFrom(node)
    model.opset_import.append(helper.make_opsetid("acme", 1))
    return model


def with_functions(calls: dict[str, list[str]]) -> ModelProto:
    """A model that calls the first of some functions, each of which calls others in a chain."""
    model = relu_model()
    for name, called in calls.items():
        steps = [*called, ""]
        names = ["a", *(f"m{i}" for i in range(len(called))), "b"]
        nodes = [
            helper.make_node(op or "Relu", [names[i]], [names[i + 1]], domain="own" if op else "")
            for i, op in enumerate(steps)
        ]
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
        model.functions.append(helper.make_function("own", name, ["a"], ["b"], nodes, opsets))
    first = next(iter(calls))
    model.graph.node[0].CopyFrom(helper.make_node(first, ["x"], ["y"], domain="own"))
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def with_opset(version: int) -> ModelProto:
    model = relu_model()
    model.opset_import[0].version = version
    return model


def with_two_opsets() -> ModelProto:
    model = relu_model()
    model.opset_import.append(helper.make_opsetid("ai.onnx", 17))
    return model


def without_output_shape() -> ModelProto:
    model = relu_model()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def with_strings() -> ModelProto:
    node = helper.make_node("Identity", ["x"], ["y"])
    kind = TensorProto.STRING
    return model_of([node], [value("x", (1,), kind)], [value("y", (1,), kind)])


def with_sequence() -> ModelProto:
    node = helper.make_node("SequenceConstruct", ["x"], ["y"])
    output = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, (4,))
    return model_of([node], [value("x", (4,))], [output])


def without_inputs() -> ModelProto:
    node = helper.make_node("Relu", ["w"], ["y"])
    return model_of([node], [], [value("y", (4,))], weights_of(0, w=(4,)))


def with_unknown_operator() -> ModelProto:
    return model_of([helper.make_node("Reloo", ["x"], ["y"])], [value("x", (1,))],
                    [value("y", (1,))])  # fmt: skip


def with_wrong_types() -> ModelProto:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return model_of([node], [value("x", (1, 5))], [value("y", (1, 3))], weights_of(0, w=(4, 3)))


def chain_of(*nodes: tuple[str, str]) -> ModelProto:
    """Operators of one input and one output, written in this order."""
    made = [helper.make_node("Relu", [a], [b], name=f"n{a}{b}") for a, b in nodes]
    return model_of(made, [value("x", (4,))], [value("y", (4,))])


def with_initializer_twice() -> ModelProto:
    model = dense_model()
    model.graph.initializer.append(model.graph.initializer[0])
    return model


def with_input_twice() -> ModelProto:
    model = dense_model()
    model.graph.input.append(model.graph.input[0])
    return model


def with_face(kind: int, size: int = 4) -> ModelProto:
    node = helper.make_node("Identity", ["x"], ["y"])
    return model_of([node], [value("x", (size,), kind)], [value("y", (size,), kind)])


def with_branch_that_reads(name: str) -> ModelProto:
    branch = graph_of(
        [helper.make_node("Relu", [name], ["t"], name="deep")], [], [value("t", (4,))]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    inputs = [value("x", (4,)), value("c", (), TensorProto.BOOL)]
    return model_of([node], inputs, [value("y", (4,))])


def with_split(count: int) -> ModelProto:
    """What aborts onnx 1.23 where the count is not that of the outputs."""
    node = helper.make_node("Split", ["x"], ["y", "z"], name="s", num_outputs=count)
    return model_of([node], [value("x", (4,))], [value("y", (2,)), value("z", (2,))])


def with_carried(**fields: object) -> ModelProto:
    model = dense_model()
    model.graph.initializer[0].CopyFrom(
        TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], **fields)
    )
    return model


def with_bytes_for_a_name() -> bytes:
    data: bytes = relu_model().SerializeToString()
    return data.replace(b"Relu", b"R\xfflu")


def with_old_operator() -> ModelProto:
    node = helper.make_node("Upsample", ["x", "s"], ["y"], name="up")
    return model_of([node], [value("x", (4,))], [value("y", (4,))], {"s": np.ones(1, np.float32)})


LAUGHS = {f"F{i}": [f"F{i + 1}"] * 2 for i in range(30)} | {"F30": []}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (ModelProto, "not an ONNX model: it has no operators or no outputs"),
        (lambda: with_claim(2**40, 2**40), f"tensor 'w' claims {2**80} elements and carries 4"),
        (lambda: with_claim(-4), "tensor 'w' has a negative dimension"),
        (with_claim_in_attribute, f"tensor 'big' claims {2**40} elements and carries 0"),
        (with_claim_in_subgraph, f"tensor 'deep' claims {2**40} elements and carries 0"),
        (with_external_data, "tensor 'w' is stored in another file"),
        (with_custom_operator, "node 'third' is the custom operator acme.Foo"),
        (lambda: with_functions({"F": ["F"]}), "function own.F calls itself"),
        (lambda: with_functions({"F": ["G"], "G": ["F"]}), "calls itself"),
        (lambda: with_functions(LAUGHS), "more than 200000 operators"),
        (lambda: with_opset(10), "opset 10 is not supported"),
        (lambda: with_opset(26), "opset 26 is not supported"),
        (with_two_opsets, "its opset is not one version: [17, 18]"),
        (lambda: relu_model(None), "input 'x' has no shape"),
        (without_output_shape, "output 'y' has no shape"),
        (with_strings, "input 'x' holds strings"),
        (with_sequence, "output 'y' is not a tensor"),
        (without_inputs, "it has no inputs"),
        (with_unknown_operator, "node 0 (Reloo): opset 18 has no such operator"),
        (with_wrong_types, "not valid ONNX"),
        (lambda: chain_of(("x", "b"), ("q", "y")), "node 'nqy' (Relu) reads 'q', which nothing"),
        (lambda: chain_of(("b", "y"), ("x", "b")), "node 'nby' (Relu) reads 'b' before that is"),
        (lambda: chain_of(("b", "a"), ("a", "b"), ("x", "y")), "node 'nba' (Relu) reads 'b', wh"),
        (lambda: chain_of(("b", "a"), ("a", "b"), ("x", "y")), "from its own output: a cycle"),
        (lambda: chain_of(("x", "y"), ("x", "y")), "node 'nxy' (Relu) makes 'y', which is there"),
        (lambda: chain_of(("x", "x")), "node 'nxx' (Relu) makes 'x', which is there already"),
        (lambda: chain_of(("x", "b")), "output 'y' of graph 'g' is made by no operator"),
        (with_initializer_twice, "weight 'w' of graph 'g' is there twice"),
        (with_input_twice, "input 'x' of graph 'g' is there twice"),
        (lambda: with_branch_that_reads("gone"), "node 'deep' (Relu) reads 'gone', which nothing"),
        (lambda: with_branch_that_reads("y"), "node 'deep' (Relu) reads 'y', which nothing"),
        (lambda: with_split(3), "node 's' (Split): splits into 3 and has 2 outputs"),
        (with_old_operator, "node 'up' (Upsample): is no longer in opset 18"),
        (lambda: with_face(TensorProto.BFLOAT16), "input 'x' is of type bfloat16"),
        (lambda: with_face(TensorProto.COMPLEX64), "input 'x' is of type complex64"),
        (lambda: with_face(99), "input 'x' is of type 99"),
        (lambda: with_face(TensorProto.FLOAT, -1), "input 'x' has a dimension of -1"),
        (lambda: with_carried(raw_data=bytes(20)), "tensor 'w' claims 4 elements and carries 5"),
        (lambda: with_carried(int64_data=[1] * 4), "tensor 'w' carries its data as int64_data"),
        (lambda: with_carried(raw_data=bytes(16), float_data=[1.0]), "in several fields"),
        (
            lambda: with_functions({f"F{i}": [f"F{i + 1}"] for i in range(100)} | {"F100": []}),
            "calls others over more than 64 levels",
        ),
    ],
)
def test_bad_model_is_refused_in_one_line(make: Callable[[], ModelProto], expected: str) -> None:
    assert expected in str(refused(make()))


def test_functions_that_share_a_callee_are_no_cycle() -> None:
    model = with_functions({"A": ["B", "C"], "B": ["C"], "C": []})
    model_from_bytes(model.SerializeToString())


def test_standard_domain_may_be_listed_twice() -> None:
    model = relu_model()
    model.opset_import.append(helper.make_opsetid("", 18))
    model_from_bytes(model.SerializeToString())


def test_weights_may_be_listed_as_inputs_as_old_exporters_do() -> None:
    model = dense_model()
    model.graph.input.append(value("w", (4,)))
    source = source_from_onnx(model.SerializeToString(), name="m", importer="onnx")
    assert [spec.name for spec in source.workload.inputs] == ["x"]


def test_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(ModelError, match="is not UTF-8"):
        model_from_bytes(with_bytes_for_a_name())


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.INT64, "int64"),
        (TensorProto.BOOL, "bool"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.UINT8, "uint8"),
    ],
)
def test_inputs_of_numbers_have_numpys_names(kind: int, dtype: str) -> None:
    data = with_face(kind).SerializeToString()
    source = source_from_onnx(data, name="m", importer="onnx")
    assert [spec.dtype for spec in source.workload.inputs] == [dtype]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_model_or_a_model_error(data: bytes) -> None:
    with pytest.raises(ModelError):
        model_from_bytes(data)


@given(st.integers(min_value=1), st.data())
def test_truncated_or_flipped_model_is_a_model_or_a_model_error(
    cut: int, data: st.DataObject
) -> None:
    whole = bytearray(conv_model().SerializeToString())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with suppress(ModelError):
        source_from_onnx(bytes(whole[: cut % (2 * len(whole))]), name="m", importer="onnx")


def test_source_is_the_file_and_its_digest(tmp_path: Path) -> None:
    data = conv_model().SerializeToString()
    (tmp_path / "small.onnx").write_bytes(data)
    source = read_source(tmp_path / "small.onnx")
    assert (source.name, source.importer, source.data) == ("small", "onnx", data)
    assert source.digest == source.workload.model_digest == digest(data)
    assert source.description is None
    assert source.described.model == ModelInfo(name="small", digest=digest(data))
    assert source.described.inputs == source.workload.inputs


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("missing.onnx", "missing.onnx: no such file"),
        ("text.onnx", "text.onnx: not an ONNX model"),
        ("model.mlmodel", "model.mlmodel: nothing here reads '.mlmodel' files"),
        ("folder", "folder: nothing here reads this directory"),
    ],
)
def test_file_that_is_no_model_is_refused_by_name(name: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "model.mlmodel").write_text("hello")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match=expected):
        read_source(tmp_path / name)


def described(tmp_path: Path, **changes: object) -> Path:
    """Write a model of float32 (batch, 4) with a description that takes uint8."""
    data = relu_model().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data)
    fields: dict[str, object] = {
        "model": ModelInfo(name="named", version=3, digest=digest(data)),
        "inputs": (TensorSpec(name="x", dtype="uint8", shape=("batch", 4)),),
        "outputs": (TensorSpec(name="p", dtype="float32", shape=("batch", 4)),),
        "pre": (Cast(source="x", result="x", dtype="float32"),),
        "post": (Softmax(source="y", result="p"),),
    }
    description = SourceDescription(**(fields | changes))  # type: ignore[arg-type] # by field name
    (tmp_path / "m.json").write_bytes(encode_json(description))
    return tmp_path / "m.onnx"


def test_description_beside_the_model_is_joined(tmp_path: Path) -> None:
    source = read_source(described(tmp_path))
    assert source.described.model.name == "named"
    assert source.described.pre == (Cast(source="x", result="x", dtype="float32"),)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": ModelInfo(name="n", digest=digest(b"other"))}, "is of model"),
        ({"pre": ()}, "uint8 .* for input 'x', expected float32"),
        ({"pre": (Cast(source="z", result="x", dtype="float32"),)}, "no tensor 'z'"),
        ({"post": ()}, "nothing for output 'p'"),
    ],
)
def test_description_that_does_not_fit_is_refused(
    changes: dict[str, object], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=expected):
        read_source(described(tmp_path, **changes))


def test_malformed_description_is_refused(tmp_path: Path) -> None:
    path = described(tmp_path)
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(DocumentError):
        read_source(path)


def test_numpy_weights_of_any_dtype_carry_what_they_claim() -> None:
    for dtype in (np.float16, np.int8, np.int64, np.bool_, np.uint32):
        node = helper.make_node("Identity", ["w"], ["v"])
        other = helper.make_node("Relu", ["x"], ["y"])
        model = model_of([node, other], [value("x", (1,))], [value("y", (1,))],
                         {"w": np.ones((3, 5), dtype)})  # fmt: skip
        model_from_bytes(model.SerializeToString())
