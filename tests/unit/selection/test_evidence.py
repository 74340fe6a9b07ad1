# SPDX-License-Identifier: Apache-2.0
"""What of the measurements counts, and what is learned of them."""

import math
from typing import Any

import msgspec
import pytest

from insight_edge.documents.evidence import Interval, Measurement, Noise
from insight_edge.documents.target import Target
from insight_edge.selection.evidence import Measured, counted, learn_from, measured_latency
from tests.fakes.selecting import board, workload

FP32 = Target(backend="onnxruntime", precision="fp32")
NOISE = Noise(load_1min=0.0, steal_share=0.0, involuntary_switches=0, round_spread=0.0)


def measured(ms: float = 2.0, **changes: Any) -> Measured:
    plain = Measurement(
        region="a call",
        iterations=100,
        rounds=10,
        threads=4,
        p50_ms=Interval(value=ms, low=ms * 0.9, high=ms * 1.1),
        mean_ms=ms,
        load_ms=1.0,
        first_ms=ms,
        peak_rss_bytes=1 << 26,
        noise=NOISE,
        verdict="VALID",
    )
    return Measured(
        model=workload().model_digest,
        profile="board",
        target=FP32,
        measurement=msgspec.structs.replace(plain, **changes),
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"p50_ms": Interval(value=math.nan, low=1.0, high=2.0)}, "positive"),
        ({"p50_ms": Interval(value=-1.0, low=-2.0, high=2.0)}, "positive"),
        ({"p50_ms": Interval(value=3.0, low=1.0, high=2.0)}, "within its interval"),
        ({"verdict": "INVALID"}, "INVALID"),
        ({"kind": "bound"}, "another class"),
        ({"scenario": "offline"}, "offline"),
    ],
)
def test_what_does_not_count_is_left_out_with_its_reason(
    changes: dict[str, Any], said: str
) -> None:
    kept, (why,) = counted([measured(**changes)])
    assert not kept
    assert said in why


def test_the_last_measurement_of_a_thing_is_the_one_that_counts() -> None:
    kept, why = counted([measured(2.0), measured(3.0)])
    assert [measured_latency(one).p50_ms for one in kept.values()] == [3.0]
    assert why == ()


def test_nothing_is_learned_of_unknown_models_or_devices() -> None:
    known = {workload().model_digest: workload()}
    assert learn_from([measured()], {}, {"board": board()}) == {}
    assert learn_from([measured()], known, {}) == {}
    (found,) = learn_from([measured()], known, {"board": board()}).values()
    assert "1 measurement on 1 device" in found.basis


def test_a_measurement_by_fewer_threads_is_learned_as_such() -> None:
    known = {workload().model_digest: workload()}
    (one,), (four,) = (
        learn_from([measured(threads=threads)], known, {"board": board()}).values()
        for threads in (1, 4)
    )
    assert one.offsets["board onnxruntime:fp32"] < four.offsets["board onnxruntime:fp32"]
