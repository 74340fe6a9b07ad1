# SPDX-License-Identifier: Apache-2.0
"""Whether the operators of an ONNX graph are joined as a graph must be.

Every tensor is made once, before it is read, by a node, an input or a weight
that is there. Operators are not sorted and nothing is repaired; types and
shapes are looked at elsewhere (`compile.graph.check`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from insight_edge.errors import ModelError

SORT_HINT = "every operator must come after those whose outputs it reads; export the model again"


def node_label(node: NodeProto, index: int) -> str:
    """Return what messages call a node; one without a name goes by its place."""
    name = f"'{node.name}'" if node.name else str(index)
    return f"node {name} ({node.op_type})"


def refuse_text(model: ModelProto) -> None:
    """Raise unless every name in a model is text; protobuf lets any bytes pass.

    Raises:
        ModelError: a name is not.
    """
    owners = (model, *model.functions)
    names = [o.domain for owner in owners for o in owner.opset_import]
    waiting: list[GraphProto | FunctionProto] = [model.graph, *model.functions]
    while waiting:
        body = waiting.pop()
        names.append(body.name)
        if isinstance(body, GraphProto):
            values = (*body.input, *body.output, *body.value_info, *body.initializer)
            names += (value.name for value in values)
        for node in body.node:
            names += (node.op_type, node.domain, node.name, *node.input, *node.output)
            for attribute in node.attribute:
                names.append(attribute.name)
                waiting += (attribute.g, *attribute.graphs)
    odd = next((name for name in names if not isinstance(name, str)), None)
    if odd is not None:
        raise ModelError(f"not an ONNX model: the name {odd!r:.80} is not UTF-8")


def refuse_wiring(model: ModelProto) -> None:
    """Raise unless every tensor is made once and before it is read.

    Raises:
        ModelError: the first node, input, weight or output for which that is not so.
    """
    _refuse_graph(model.graph, set())
    for function in model.functions:
        _refuse_twice("input", function.input, f"function '{function.name}'")
        visible = set(function.input)
        _refuse_nodes(function.node, visible, set(function.input))
        _refuse_unmade(function.output, visible, f"function '{function.name}'")


def _refuse_graph(graph: GraphProto, visible: set[str]) -> None:
    """Walk a graph that sees the tensors of `visible`, which is left as it was."""
    place = f"graph '{graph.name}'"
    weights = [t.name for t in graph.initializer]
    weights += [s.values.name for s in graph.sparse_initializer]
    inputs = [value.name for value in graph.input]
    _refuse_twice("input", inputs, place)
    _refuse_twice("weight", weights, place)
    own = {*weights, *inputs}
    added = own - visible
    visible |= added
    added |= _refuse_nodes(graph.node, visible, own)
    outputs = [value.name for value in graph.output]
    _refuse_twice("output", outputs, place)
    _refuse_unmade(outputs, visible, place)
    visible -= added


def _refuse_nodes(nodes: Sequence[NodeProto], visible: set[str], own: set[str]) -> set[str]:
    """Walk nodes in order, add what they make to `visible`, and return what was added.

    Args:
        nodes: of one graph or function.
        visible: every tensor that the first node may read.
        own: those of them that this graph itself has.
    """
    added: set[str] = set()
    made = set(own)
    for index, node in enumerate(nodes):
        for name in filter(None, node.input):
            if name not in visible:
                raise _unmade_error(nodes, index, name)
        for attribute in node.attribute:
            graphs = [attribute.g] if attribute.type == AttributeProto.GRAPH else []
            for graph in (*graphs, *attribute.graphs):
                _refuse_graph(graph, visible)
        for name in filter(None, node.output):
            if name in made:
                raise ModelError(
                    f"{node_label(node, index)} makes '{name}', which is there already"
                )
            made.add(name)
            if name not in visible:
                visible.add(name)
                added.add(name)
    return added


def _unmade_error(nodes: Sequence[NodeProto], index: int, name: str) -> ModelError:
    reads = f"{node_label(nodes[index], index)} reads '{name}'"
    if not any(name in node.output for node in nodes):
        return ModelError(
            f"{reads}, which nothing makes", hint="a weight or an operator is missing from the file"
        )
    if _leads_to(nodes, nodes[index].output, name):
        return ModelError(f"{reads}, which is made from its own output: a cycle")
    return ModelError(f"{reads} before that is made", hint=SORT_HINT)


def _leads_to(nodes: Sequence[NodeProto], start: Iterable[str], name: str) -> bool:
    """Return whether a tensor is computed, over any number of nodes, from one of `start`."""
    readers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for read in node.input:
            readers.setdefault(read, []).append(node)
    waiting, seen = list(filter(None, start)), set()
    while waiting:
        tensor = waiting.pop()
        if tensor == name:
            return True
        if tensor not in seen:
            seen.add(tensor)
            waiting += [o for node in readers.get(tensor, ()) for o in node.output if o]
    return False


def _refuse_unmade(outputs: Iterable[str], visible: set[str], place: str) -> None:
    for name in outputs:
        if name not in visible:
            raise ModelError(f"output '{name}' of {place} is made by no operator")


def _refuse_twice(kind: str, names: Iterable[str], place: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ModelError(f"{kind} '{twice[0]}' of {place} is there twice")
