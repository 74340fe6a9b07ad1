# SPDX-License-Identifier: Apache-2.0
"""Memory: never said to be less than what is alive, on graphs drawn at random."""

from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.target import Target
from insight_edge.selection.fit import fit, memory_limit_bytes
from insight_edge.selection.footprint import Footprint, need
from insight_edge.selection.liveness import peak_live_bytes
from tests.fakes.selecting import board, operation, workload

FP32 = Target(backend="onnxruntime", precision="fp32")
Steps = list[tuple[frozenset[str], frozenset[str]]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Steps, dict[str, int]]:
    """Draw steps in order, each reading what was written before it."""
    sizes, steps = {"x": draw(st.integers(0, 99))}, []
    for index in range(draw(st.integers(1, 8))):
        reads = frozenset(draw(st.lists(st.sampled_from(sorted(sizes)), max_size=3)))
        writes = [f"t{index}_{i}" for i in range(draw(st.integers(1, 2)))]
        sizes |= {name: draw(st.integers(0, 99)) for name in writes}
        steps.append((reads, frozenset(writes)))
    return steps, sizes


def simulated(steps: Steps, sizes: dict[str, int], outputs: set[str]) -> int:
    """Return the most that is held by a machine that frees what nothing asks for any more."""
    held, most = {"x"}, sizes["x"]
    for index, (reads, writes) in enumerate(steps):
        held |= writes
        most = max(most, sum(sizes[name] for name in held | reads))
        later = {name for after, _ in steps[index + 1 :] for name in after}
        held = {name for name in held if name in later or name in outputs}
    return most


@given(graphs())
def test_what_is_said_to_be_alive_is_never_less_than_what_is(
    drawn: tuple[Steps, dict[str, int]],
) -> None:
    steps, sizes = drawn
    outputs = set(steps[-1][1])
    assert peak_live_bytes(["x"], outputs, steps, sizes) >= simulated(steps, sizes, outputs)


@given(st.integers(0, 6 << 30), st.integers(0, 6 << 30))
def test_nothing_fits_that_holds_more_than_the_machine_has(weights: int, live: int) -> None:
    model = workload(operation(weights=weights), peak_live_bytes=live)
    footprint = Footprint(base_bytes=0, weights=1.0, activations=1.0)
    profile = board()
    found = fit(model, FP32, need(model, FP32, footprint), None, profile)
    if found.verdict == "yes":
        assert weights + live <= memory_limit_bytes(profile)
