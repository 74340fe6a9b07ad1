# SPDX-License-Identifier: Apache-2.0
"""The layer that is built wrong is found by few questions, whatever the paths."""

from collections.abc import Mapping, Sequence
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.graph.cut import Cut
from insight_edge.compile.layers.bisection import locate
from insight_edge.compile.layers.divergence import LayerError

Inputs = Mapping[str, Sequence[str]]


def layer(name: str, *, diverged: bool) -> LayerError:
    return LayerError(
        tensor=name, op="Op", node=name, sqnr_db=0.0, relative=1.0, largest=1.0, diverged=diverged
    )


class Compiler:
    """Builds some layers wrong, and cannot build up to others; what follows is wrong, too."""

    def __init__(self, inputs: Inputs, broken: set[str], unbuilt: frozenset[str]) -> None:
        self.inputs, self.unbuilt, self.asked = inputs, unbuilt, 0
        self.wrong: set[str] = set()
        for name, taken in inputs.items():
            if name in broken or self.wrong.intersection(taken):
                self.wrong.add(name)

    def ask(self, tensors: Sequence[str]) -> dict[str, LayerError] | None:
        self.asked += 1
        if self.unbuilt.intersection(tensors):
            return None
        return {name: layer(name, diverged=name in self.wrong) for name in tensors}


def cuts_of(inputs: Inputs) -> list[Cut]:
    names = list(inputs)
    last = {taken: place for place, name in enumerate(names) for taken in inputs[name]}
    live = {name: last.get(name, len(names)) for name in names}
    return [
        Cut(place=place, tensors=tuple(n for n in names[: place + 1] if live[n] > place))
        for place in range(len(names))
    ]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Draw a graph of which each layer takes any of those before."""
    found: dict[str, tuple[str, ...]] = {}
    for place in range(draw(st.integers(1, 24))):
        taken = st.lists(st.sampled_from(sorted(found)), unique=True, max_size=3)
        found[f"t{place:02}"] = tuple(draw(taken)) if found else ()
    return found


@given(inputs=graphs(), data=st.data())
def test_one_broken_layer_is_named_in_few_builds(
    inputs: dict[str, tuple[str, ...]], data: st.DataObject
) -> None:
    broken = data.draw(st.sampled_from(sorted(inputs)))
    compiler = Compiler(inputs, {broken}, frozenset())
    found = locate(cuts_of(inputs), inputs, compiler.ask)
    assert found is not None
    assert found.first is not None
    assert (found.first.tensor, found.sure) == (broken, True)
    assert compiler.asked <= 2 + log2(len(inputs) + 1) + 1


@given(inputs=graphs(), data=st.data())
def test_of_several_one_is_named_whose_inputs_agree(
    inputs: dict[str, tuple[str, ...]], data: st.DataObject
) -> None:
    broken = data.draw(st.sets(st.sampled_from(sorted(inputs)), min_size=1))
    compiler = Compiler(inputs, broken, frozenset())
    found = locate(cuts_of(inputs), inputs, compiler.ask)
    assert found is not None
    assert found.first is not None
    assert found.first.tensor in broken
    assert not compiler.wrong.intersection(inputs[found.first.tensor])


@given(inputs=graphs(), data=st.data())
def test_parts_that_cannot_be_built_make_it_unsure_and_never_wrong(
    inputs: dict[str, tuple[str, ...]], data: st.DataObject
) -> None:
    names = st.sampled_from(sorted(inputs))
    broken, unbuilt = data.draw(names), data.draw(st.frozensets(names))
    cuts = cuts_of(inputs)
    compiler = Compiler(inputs, {broken}, unbuilt)
    found = locate(cuts, inputs, compiler.ask)
    if unbuilt.intersection(cuts[-1].tensors):
        assert found is None
        return
    assert found is not None
    assert found.first is not None
    assert found.first.tensor in compiler.wrong
    assert not found.sure or found.first.tensor == broken


def test_a_fault_that_only_some_cuts_show_is_walked_back_to() -> None:
    """A fusion that only the longer parts have: the cut before agrees, and the layer is older."""
    inputs = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",), "e": ("d", "b")}

    def ask(tensors: Sequence[str]) -> dict[str, LayerError]:
        wrong = {"b", "c", "d", "e"} if len(tensors) > 1 or "e" in tensors else {"b"}
        return {name: layer(name, diverged=name in wrong) for name in tensors}

    found = locate(cuts_of(inputs), inputs, ask)
    assert found is not None
    assert found.first is not None
    assert (found.first.tensor, found.sure) == ("b", True)


@pytest.mark.parametrize(
    ("unbuilt", "named", "sure"),
    [
        ({"x"}, "b", True),  # no cut that needs x can be asked: walked back layer by layer
        ({"x", "c"}, "d", False),  # what d takes cannot be asked either
    ],
)
def test_where_parts_cannot_be_built_its_inputs_are_asked_one_by_one(
    unbuilt: set[str], named: str, *, sure: bool
) -> None:
    inputs = {"a": (), "x": (), "b": ("a",), "c": ("b",), "d": ("c", "x")}
    compiler = Compiler(inputs, {"b"}, frozenset(unbuilt))
    found = locate(cuts_of(inputs), inputs, compiler.ask)
    assert found is not None
    assert found.first is not None
    assert (found.first.tensor, found.sure) == (named, sure)


def test_what_agrees_when_it_is_built_again_names_no_layer() -> None:
    inputs = {"a": (), "b": ("a",)}
    compiler = Compiler(inputs, set(), frozenset())
    found = locate(cuts_of(inputs), inputs, compiler.ask)
    assert found is not None
    assert (found.first, compiler.asked) == (None, 1)
