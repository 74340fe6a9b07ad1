# SPDX-License-Identifier: Apache-2.0
"""What a target needs and whether that fits: never `yes` by less than all that is counted."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.profile import Figure, HardwareProfile, Limits
from insight_edge.documents.target import Target, target_from_token
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.workload import LiveTensor, Operation, Workload
from insight_edge.selection.fit import fit, memory_limit_bytes
from insight_edge.selection.footprint import MIB, Footprint, Need, need, stored_bytes
from insight_edge.selection.roofline import Roof, bound
from tests.fakes.hardware import GPU, profile_of

FP32, INT8 = target_from_token("a:fp32"), target_from_token("a:int8")
FOOTPRINT = Footprint(base_bytes=64 * MIB, weights=2.0, activations=3.0)


def workload(
    *, weights: int = 0, live: int = 0, op: str = "Conv", flops: int = 0, free: bool = False
) -> Workload:
    face = TensorSpec(name="x", dtype="float32", shape=("batch", "t" if free else 4))
    work = Operation(
        name="big", op=op, flops=flops, read_bytes=0, written_bytes=0, parameter_bytes=weights
    )
    return Workload(
        model_digest="sha256:0",
        opset=18,
        inputs=(face,),
        outputs=(face,),
        operations=(work,),
        flops=flops,
        parameter_bytes=weights,
        peak_live_bytes=live,
        peak_operation="big",
        peak_tensors=(LiveTensor(name="a", length_bytes=live),),
    )


def limited(**limits: float) -> HardwareProfile:
    return msgspec.structs.replace(profile_of(), limits=Limits(**limits))  # type: ignore[arg-type]


def test_need_adds_the_engine_the_weights_and_what_is_alive() -> None:
    found = need(workload(weights=8 * MIB, live=MIB), FP32, FOOTPRINT)
    assert found.memory_bytes == pytest.approx((64 + 2 * 8 + 3) * MIB, abs=2)
    assert found.artifact_bytes == 9 * MIB


@pytest.mark.parametrize(("op", "share"), [("Conv", 0.25), ("Gather", 1.0), ("LSTM", 1.0)])
def test_int8_shrinks_only_what_is_quantised(op: str, share: float) -> None:
    assert stored_bytes(workload(weights=400, op=op), "int8") == 400 * share


def test_memory_is_unknown_where_the_engine_was_not_measured_or_a_size_is_free() -> None:
    assert "not measured" in need(workload(), FP32, None).unknown
    assert "t is free" in need(workload(free=True), FP32, FOOTPRINT).unknown
    loose = msgspec.structs.replace(workload(), unsized=("found",))
    assert "'found'" in need(loose, FP32, FOOTPRINT).unknown
    assert need(loose, FP32, FOOTPRINT).memory_bytes is None


def test_unknown_memory_never_fits_and_surely_too_much_does_not() -> None:
    profile = limited(memory_bytes=MIB)
    for weights, verdict in ((0, "unknown"), (2 * MIB, "no")):
        model = workload(weights=weights)
        assert fit(model, FP32, need(model, FP32, None), None, profile).verdict == verdict


def test_misfits_name_the_peak_the_quarter_and_the_costliest_operator() -> None:
    model = workload(live=100 * MIB, flops=10**9)
    wide = fit(model, FP32, need(model, FP32, FOOTPRINT), None, limited(memory_bytes=MIB))
    assert "at node 'big' with 'a' (100 MiB)" in wide.misfits[0].change
    heavy = workload(weights=100 * MIB)
    fat = fit(heavy, FP32, need(heavy, FP32, FOOTPRINT), None, limited(artifact_bytes=MIB))
    assert "INT8" in fat.misfits[0].change
    slow = bound(model.operations, Roof(ops_per_s=1e9))
    late = fit(model, FP32, need(model, FP32, FOOTPRINT), slow, limited(latency_p50_ms=1.0))
    assert "100% of it is Conv 'big'" in late.misfits[0].change
    assert "1e+03 ms at least (bound)" in late.misfits[0].reason


def test_weights_must_fit_the_accelerator() -> None:
    model = workload(weights=100 * MIB)
    small = msgspec.structs.replace(GPU, memory_bytes=Figure(value=50 * MIB, source="s"))
    taken = need(model, FP32, None)
    assert fit(model, FP32, taken, None, profile_of(), small).verdict == "no"
    assert fit(model, INT8, need(model, INT8, None), None, profile_of(), small).verdict == "unknown"


def test_dram_is_a_limit_where_none_is_chosen() -> None:
    assert memory_limit_bytes(profile_of()) == 4 * 2**30
    assert memory_limit_bytes(limited(memory_bytes=8 * 2**30)) == 4 * 2**30


@given(st.integers(0, 2**34), st.integers(0, 2**34), st.integers(1, 2**34), st.integers(1, 2**34))
def test_yes_means_that_every_count_is_within_its_limit(
    memory: int, artifact: int, most_memory: int, most_artifact: int
) -> None:
    taken = Need(artifact_bytes=artifact, least_bytes=0, memory_bytes=memory)
    profile = limited(memory_bytes=most_memory, artifact_bytes=most_artifact)
    found = fit(workload(), FP32, taken, None, profile)
    assert (found.verdict == "yes") == (
        memory <= memory_limit_bytes(profile) and artifact <= most_artifact
    )
    unknown = fit(workload(), FP32, replace(taken, unknown="?"), None, profile)
    assert unknown.verdict != "yes"


@given(st.integers(0, 2**31), st.integers(0, 2**31), st.sampled_from(["fp32", "fp16", "int8"]))
def test_more_of_anything_never_needs_less(weights: int, live: int, precision: str) -> None:
    target = Target(backend="a", precision=precision)  # type: ignore[arg-type]
    less = need(workload(weights=weights, live=live), target, FOOTPRINT)
    more = need(workload(weights=weights + 64, live=live + 64), target, FOOTPRINT)
    assert less.memory_bytes is not None
    assert more.memory_bytes is not None
    assert less.memory_bytes <= more.memory_bytes
    assert less.artifact_bytes <= more.artifact_bytes
    assert less.least_bytes <= less.memory_bytes
