# SPDX-License-Identifier: Apache-2.0
"""What a workload tells of calls, so that a toolchain's limits are known without it."""

import msgspec
from onnx import NodeProto, TensorProto, helper

from insight_edge.compile.graph.check import check_model
from insight_edge.compile.graph.workload import workload_from_onnx
from insight_edge.compile.refusals.refusal import Refusal
from insight_edge.compile.refusals.rules import (
    Rule,
    attribute,
    of_data,
    of_dtype,
    of_rank,
    rule_refusal,
)
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.workload import Operand, Signature, Workload
from tests.fakes.onnx_models import conv_model, model_of, value, weights_of

CONSTANT = helper.make_node(
    "Constant", [], ["two"], value=helper.make_tensor("t", TensorProto.INT64, [1], [2])
)


def workload(nodes: list[NodeProto], out: str = "y") -> Workload:
    model = model_of(
        nodes,
        [value("x", ("batch", 6)), value("k", (1,), kind=TensorProto.INT64)],
        [value(out, None)],
        weights_of(0, w=(6, 6)),
    )
    return workload_from_onnx(model, "sha256:0")


def signature(found: Workload, op: str) -> Signature:
    (operation,) = (each for each in found.operations if each.op == op)
    return found.signatures[operation.signature]


def top_k(k: str, *before: NodeProto) -> Workload:
    return workload([*before, helper.make_node("TopK", ["x", k], ["y", "places"])])


def test_origin_of_a_tensor_is_followed_through_the_graph() -> None:
    doubled = helper.make_node("Add", ["two", "two"], ["sum"])
    sizes = helper.make_node("Shape", ["x"], ["sizes"], start=1)
    both = helper.make_node("Min", ["sum", "sizes"], ["least"])
    added = helper.make_node("Add", ["k", "two"], ["more"])
    cast = helper.make_node("CastLike", ["two", "k"], ["like"])
    found = {
        name: signature(top_k(name, *before), "TopK").inputs[1]
        for name, before in {
            "two": [CONSTANT],
            "sum": [CONSTANT, doubled],
            "sizes": [sizes],
            "least": [CONSTANT, doubled, sizes, both],
            "like": [CONSTANT, cast],
            "more": [CONSTANT, added],
            "k": [],
        }.items()
    }
    assert {name: operand.origin for name, operand in found.items() if operand} == {
        "two": "constant",
        "sum": "constant",
        "sizes": "shape",
        "least": "shape",
        "like": "constant",
        "more": "data",
        "k": "data",
    }


def test_signature_tells_types_ranks_and_which_outputs_are_read() -> None:
    told = signature(top_k("two", CONSTANT), "TopK")
    assert told == Signature(
        op="TopK",
        inputs=(
            Operand(dtype="float32", rank=2, origin="data"),
            Operand(dtype="int64", rank=1, origin="constant"),
        ),
        outputs=(True, False),
    )


def test_input_that_is_left_out_is_told() -> None:
    nodes = [helper.make_node("Clip", ["x", "", "top"], ["y"])]
    model = model_of(nodes, [value("x", ("batch", 6))], [value("y", ("batch", 6))])
    model.graph.initializer.append(helper.make_tensor("top", TensorProto.FLOAT, [], [1.0]))
    (told,) = workload_from_onnx(model, "sha256:0").signatures
    assert told.inputs[1] is None


def test_attribute_of_several_numbers_is_told_whole_and_survives_its_document() -> None:
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[1, 2])
    model = model_of([node], [value("x", (1, 1, 8, 8))], [value("y", None)])
    found = workload_from_onnx(model, "sha256:0")
    assert found.signatures[0].attributes == {"dilations": (1, 2)}
    assert decode_json(Workload, encode_json(found)) == found


def test_calls_that_look_alike_share_a_signature() -> None:
    model = conv_model()
    check_model(model)
    found = workload_from_onnx(model, "sha256:0")
    relus = {each.signature for each in found.operations if each.op == "Relu"}
    assert len(relus) == 1
    assert len(found.signatures) < len(found.operations)


def test_inside_of_a_branch_sees_what_is_constant_around_it() -> None:
    inner = helper.make_node("TopK", ["x", "two"], ["inner", "places"])
    other = helper.make_node("TopK", ["x", "k"], ["other", "more"])
    branches = [
        helper.make_graph([node], name, [], [value(node.output[0], None)])
        for node, name in ((inner, "then"), (other, "else"))
    ]
    first = helper.make_node("Cast", ["k"], ["flag"], to=TensorProto.BOOL)
    chosen = helper.make_node(
        "If", ["flag"], ["y"], then_branch=branches[0], else_branch=branches[1]
    )
    found = workload([CONSTANT, first, chosen])
    inputs = {
        each.name.split("/")[1]: found.signatures[each.signature].inputs[1]
        for each in found.operations
        if each.op == "TopK"
    }
    assert {name: operand.origin for name, operand in inputs.items() if operand} == {
        "then": "constant",
        "else": "data",
    }


def test_rule_names_its_nodes_and_what_to_change() -> None:
    rule = Rule(ops=frozenset({"TopK"}), met=of_data(1), reason="takes no {}", hint="carry it")
    assert rule_refusal(top_k("two", CONSTANT), [rule]) is None
    refusal = rule_refusal(top_k("k"), [rule])
    assert isinstance(refusal, Refusal)
    assert (str(refusal), refusal.hint) == ("takes no TopK", "carry it: TopK (node 'TopK_0')")


def test_conditions_are_met_by_what_they_name_alone() -> None:
    told = Signature(
        op="Resize",
        inputs=(Operand(dtype="uint8", rank=5), None),
        outputs=(True,),
        attributes={"mode": "cubic", "antialias": 0},
    )
    assert of_dtype(0, "uint8", "int8")(told)
    assert not of_dtype(0, "float32")(told)
    assert of_rank(0, 5)(told)
    assert not of_rank(0, 4)(told)
    assert not of_rank(1, 5)(told)
    assert not of_rank(7, 5)(told)
    assert attribute("mode", "cubic")(told)
    assert not attribute("mode", "linear")(told)
    assert not attribute("antialias")(told)
    assert not attribute("block_size")(told)


def test_document_of_before_there_were_signatures_is_read_and_meets_no_rule() -> None:
    found = top_k("k")
    plain = encode_json(found)
    assert decode_json(Workload, plain) == found
    old = msgspec.json.decode(plain)
    del old["signatures"]
    for operation in old["operations"]:
        del operation["signature"]
    read = decode_json(Workload, msgspec.json.encode(old))
    rule = Rule(ops=frozenset({"TopK"}), met=of_data(1), reason="takes no {}", hint="carry it")
    assert rule_refusal(read, [rule]) is None
