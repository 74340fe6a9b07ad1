# SPDX-License-Identifier: Apache-2.0
"""A program of PyTorch whose operators are modules of their own, each called after its node.

What a module is called survives conversion in the names of tensors, so that a file
made of the program says which of its tensors are which of the program's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PREFIX = "source_"
"""Begins the names of the modules, and no name that torch gives."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operator of a program.

    Attributes:
        name: of its node, and of what it answers.
        op: what it does.
        inputs: names of the nodes whose answers it takes.
    """

    name: str
    op: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """A program as a module.

    Attributes:
        module: takes tensors by place.
        examples: of each tensor.
        steps: in order.
    """

    module: "torch.nn.Module"
    examples: list["torch.Tensor"]
    steps: tuple[Step, ...]


def stepped(program: "torch.export.ExportedProgram") -> Stepped:
    """Return a program as a module of tensors by place, its operators as modules within."""
    import torch

    tree = torch.utils._pytree  # noqa: SLF001 (torch offers no public name for it)
    examples, shape = tree.tree_flatten(program.example_inputs)
    places = [place for place, leaf in enumerate(examples) if torch.is_tensor(leaf)]
    inner: Any = program.module()
    steps = _set_apart(inner)

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            leaves = [*examples]
            for place, tensor in zip(places, tensors, strict=True):
                leaves[place] = tensor
            args, kwargs = tree.tree_unflatten(leaves, shape)
            answers = tree.tree_leaves(self.inner(*args, **kwargs))
            return tuple(answer for answer in answers if torch.is_tensor(answer))

    return Stepped(module=Flat(), examples=[examples[place] for place in places], steps=steps)


def _set_apart(graph_module: Any) -> tuple[Step, ...]:
    """Make a module of every operator of a graph; control flow stays as it is."""
    import torch

    class Operator(torch.nn.Module):
        def __init__(self, target: Any) -> None:
            super().__init__()
            self.target = target

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self.target(*args, **kwargs)

    steps = []
    for node in graph_module.graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):  # noqa: SLF001 (torch offers no public name for it)
            continue
        op = node.target.overloadpacket.__name__
        taken = tuple(one.name for one in node.all_input_nodes)
        steps.append(Step(name=node.name, op=op, inputs=taken))
        graph_module.add_submodule(PREFIX + node.name, Operator(node.target))
        node.op, node.target = "call_module", PREFIX + node.name
    graph_module.recompile()
    return tuple(steps)
