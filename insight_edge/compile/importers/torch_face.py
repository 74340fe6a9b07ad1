# SPDX-License-Identifier: Apache-2.0
"""What a PyTorch program answers with, as ONNX can have it: tensors, each its own, with names.

torch's exporter stops at a number among the answers, and renames an input that
is answered untouched. Nothing is computed otherwise.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def settle_outputs(program: "torch.export.ExportedProgram") -> list[str] | None:
    """Leave a program's tensors alone as its outputs, and return names for them.

    The program can no longer be asked afterwards: take its module first.

    Returns:
        The keys that lead to the outputs, where all are found by keys (`logits`, `boxes_0`);
        None where the exporter's names will do.
    """
    import torch
    from torch.export.graph_signature import OutputKind, TensorArgument

    keys = _keys(program)
    output = program.graph.output_node()
    pairs = zip(program.graph_signature.output_specs, output.args[0], strict=True)
    given = [(spec, node) for spec, node in pairs if isinstance(node, torch.fx.Node)]
    kept = [(spec, _own(program, node)) for spec, node in given]
    output.args = (tuple(node for _, node in kept),)
    for spec, node in kept:
        spec.arg = TensorArgument(name=node.name)
    program.graph_signature.output_specs[:] = [spec for spec, _ in kept]
    answered = [spec.arg for spec, _ in kept if spec.kind is OutputKind.USER_OUTPUT]
    signature = program.module_call_graph[0].signature
    tree = torch.utils._pytree  # noqa: SLF001 (torch offers no public name for it)
    signature.outputs[:] = answered
    signature.out_spec = tree.tree_structure(tuple(range(len(answered))))
    if keys is None and any(
        one is not other for (_, one), (_, other) in zip(given, kept, strict=True)
    ):
        return _distinct([argument.name for argument in answered])
    return keys


def _own(program: "torch.export.ExportedProgram", node: "torch.fx.Node") -> "torch.fx.Node":
    """Return a copy of what is an input or a weight: an output may not have its name."""
    import torch

    if node.op != "placeholder":
        return node
    with program.graph.inserting_before(program.graph.output_node()):
        copy: torch.fx.Node = program.graph.create_node(
            "call_function", torch.ops.aten.clone.default, (node,), name=f"{node.name}_out"
        )
    copy.meta = dict(node.meta)
    return copy


def _keys(program: "torch.export.ExportedProgram") -> list[str] | None:
    import torch

    tree = torch.utils._pytree  # noqa: SLF001
    spec = program.call_spec.out_spec
    answered = program.graph_signature.user_outputs
    leaves, _ = tree.tree_flatten_with_path(tree.tree_unflatten(answered, spec))
    names = [_joined(path) for path, leaf in leaves if isinstance(leaf, str)]
    taken = {name for name in program.graph_signature.user_inputs if isinstance(name, str)}
    return _distinct([f"{name}_out" if name in taken else name for name in names])


def _distinct(names: list[str]) -> list[str] | None:
    """Return names where each output has one of its own."""
    return names if all(names) and len(set(names)) == len(names) else None


def _joined(path: tuple[Any, ...]) -> str:
    """Return the keys on the way to an output, or nothing where there is none."""
    steps = [str(getattr(step, "key", getattr(step, "idx", ""))) for step in path]
    return "_".join(steps) if any(hasattr(step, "key") for step in path) else ""
