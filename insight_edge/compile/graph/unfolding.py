# SPDX-License-Identifier: Apache-2.0
"""How much an ONNX model is once its functions are unfolded, which is bounded."""

from collections import Counter

from onnx import ModelProto

from insight_edge.compile.graph.parts import Body, called_names, subgraphs
from insight_edge.errors import ModelError

MAX_NODES = 200_000
"""Operators, those inside functions counted each time they are called."""

MAX_FUNCTION_DEPTH = 64
"""Functions that call functions; exporters nest a handful, onnx itself gives up at 100."""


def refuse_expansion(model: ModelProto) -> None:
    """Refuse functions that call themselves, or that unfold to more than `MAX_NODES`.

    Raises:
        ModelError: which function it is, or that there are too many operators.
    """
    functions = {(f.domain, f.name): f for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    depths: dict[tuple[str, str], int] = {}
    waiting = list(functions)
    opened: set[tuple[str, str]] = set()
    while waiting:
        name = waiting[-1]
        calls = _calls(functions[name])
        inner = [c for c in calls if c in functions and c not in sizes]
        if not inner:
            sizes[name] = _unfolded(calls, sizes)
            depths[name] = 1 + max((depths.get(c, 0) for c in calls), default=0)
            if depths[name] > MAX_FUNCTION_DEPTH:
                raise ModelError(
                    f"function {'.'.join(name)} calls others over more than "
                    f"{MAX_FUNCTION_DEPTH} levels"
                )
            waiting.pop()
        elif name in opened or name in inner:
            raise ModelError(f"function {'.'.join(name)} calls itself")
        opened.add(name)
        waiting += [c for c in inner if c not in sizes]
    if _unfolded(_calls(model.graph), sizes) > MAX_NODES:
        raise ModelError(f"more than {MAX_NODES} operators once its functions are unfolded")


def _calls(body: Body) -> Counter[tuple[str, str]]:
    """Return how often a body calls each operator, its subgraphs included."""
    calls: Counter[tuple[str, str]] = Counter()
    waiting = [body]
    while waiting:
        for node in waiting.pop().node:
            calls[called_names(node)] += 1
            waiting += subgraphs(node)
    return calls


def _unfolded(calls: Counter[tuple[str, str]], sizes: dict[tuple[str, str], int]) -> int:
    return sum(times * sizes.get(name, 1) for name, times in calls.items())
