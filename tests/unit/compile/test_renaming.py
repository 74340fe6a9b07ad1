# SPDX-License-Identifier: Apache-2.0
import numpy as np
from onnx import GraphProto, helper

from insight_edge.compile.graph.renaming import names_of, rename
from tests.fakes.onnx_models import graph_of, model_of, value


def graph_with_branches() -> GraphProto:
    """An operator whose branches read `mid` from outside, and one of which has its own `late`."""
    reads = graph_of([helper.make_node("Neg", ["mid"], ["no"])], [], [value("no", (2,))])
    hides = graph_of(
        [helper.make_node("Add", ["mid", "own"], ["late"])],
        [],
        [value("late", (2,))],
        {"own": np.ones(2, np.float32)},
    )
    nodes = [
        helper.make_node("Neg", ["x"], ["mid"], name="first"),
        helper.make_node("If", ["flag"], ["y"], then_branch=hides, else_branch=reads),
        helper.make_node("Mul", ["y", "w"], ["late"]),
    ]
    weights = {"w": np.ones(2, np.float32)}
    inputs = [value("x", (2,)), value("flag", (), 9), value("w", (2,))]
    return graph_of(nodes, inputs, [value("late", (2,))], weights)


def test_tensors_are_renamed_wherever_they_are_named() -> None:
    graph = graph_with_branches()
    rename(graph, {"x": "x2", "mid": "mid2", "w": "w2", "own": "own2", "late": "late2"})
    first, branch, last = graph.node
    hides, reads = branch.attribute[0].g, branch.attribute[1].g
    if hides.output[0].name == "no":
        hides, reads = reads, hides
    assert [first.input[0], first.output[0], last.input[1]] == ["x2", "mid2", "w2"]
    assert [one.name for one in graph.input] == ["x", "flag", "w2"]
    assert (graph.output[0].name, last.output[0]) == ("late", "late2")
    assert reads.node[0].input[0] == "mid2"
    assert [*hides.node[0].input] == ["mid2", "own2"]
    assert {hides.node[0].output[0], hides.output[0].name} == {"late2"}
    assert [graph.initializer[0].name, hides.initializer[0].name] == ["w2", "own2"]


def test_every_name_is_known() -> None:
    model = model_of([], [], [])
    model.graph.CopyFrom(graph_with_branches())
    wanted = {"x", "flag", "w", "mid", "y", "late", "own", "no", "first"}
    assert names_of(model) - {""} == wanted
