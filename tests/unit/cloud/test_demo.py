# SPDX-License-Identifier: Apache-2.0
"""The demo's judgement: every promise can be broken, and then says so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from insight_cloud.demo.application import Log
from insight_cloud.demo.machines import Machine, three_of
from insight_cloud.demo.promises import (
    Outcome,
    in_window,
    latency_of,
    mixed_answers,
    promises,
)
from insight_cloud.demo.recording import Recording, read_recording, write_recording
from insight_edge.errors import ConfigurationError

OLD = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
NEW = np.array([[0.6, 0.4], [0.1, 0.9]], np.float32)


def recording() -> Recording:
    return Recording(
        asked=4,
        failures=(),
        bundle=np.array(["old", "old", "new", "new"]),
        image=np.array([0, 1, 0, 1]),
        started_ns=np.array([0, 10, 20, 30]),
        latency_ns=np.array([5, 5, 5, 5]),
        probabilities=np.stack([OLD[0], OLD[1], NEW[0], NEW[1]]),
    )


def outcome() -> Outcome:
    return Outcome(
        bundles=3,
        engines=2,
        accuracy=(0.9, 0.99),
        drop_pp=(0.0, 1.9),
        recording=recording(),
        mixed=0,
        answered_by=(2, 2),
        reported=4,
        wall_s=100.0,
    )


def test_all_promises_are_kept_when_everything_happened() -> None:
    assert all(promise.kept for promise in promises(outcome()))


@pytest.mark.parametrize(
    "broken",
    [
        replace(outcome(), bundles=2),
        replace(outcome(), engines=1),
        replace(outcome(), accuracy=(0.99, 0.99)),
        replace(outcome(), drop_pp=(0.0, 2.1)),
        replace(outcome(), answered_by=(4, 0)),
        replace(outcome(), recording=replace(recording(), asked=5)),
        replace(outcome(), recording=replace(recording(), failures=("boom",))),
        replace(outcome(), mixed=1),
        replace(outcome(), reported=3),
        replace(outcome(), wall_s=241.0),
    ],
)
def test_each_promise_can_be_broken_alone(broken: Outcome) -> None:
    kept = [promise.kept for promise in promises(broken)]
    assert kept.count(False) in {1, 2}
    if broken.recording.asked == 4:
        assert kept.count(False) == 1


def test_answers_of_their_own_bundle_are_not_mixed() -> None:
    assert not mixed_answers(recording(), {"old": OLD, "new": NEW}).any()


def test_answer_of_the_other_bundle_is_mixed() -> None:
    wrong = replace(recording(), bundle=np.array(["old", "new", "new", "new"]))
    mixed = mixed_answers(wrong, {"old": OLD, "new": NEW})
    assert mixed.tolist() == [False, True, False, False]


def test_window_holds_the_answers_that_overlap_it() -> None:
    assert in_window(recording(), 12, 21).tolist() == [False, True, True, False]


def test_latency_of_nothing_is_zero() -> None:
    assert latency_of(np.zeros(0, np.int64)).answers == 0


def test_recording_survives_its_file(tmp_path: Path) -> None:
    log = Log(
        asked=2,
        image=[1],
        started_ns=[7],
        latency_ns=[9],
        bundle=["old"],
        probabilities=[OLD[1]],
        failures=["boom"],
    )
    write_recording(tmp_path / "recording.npz", [log, log])
    found = read_recording(tmp_path / "recording.npz")
    assert (found.asked, found.dropped, found.failures) == (4, 2, ("boom", "boom"))
    assert found.bundle.tolist() == ["old", "old"]
    assert np.array_equal(found.probabilities, np.stack([OLD[1], OLD[1]]))


def machine(name: str, cores: int, memory_gib: float, *isa: str) -> Machine:
    return Machine(id=name, cores=cores, memory_gib=memory_gib, isa=isa)


def test_three_machines_are_unlike_and_the_most_capable_comes_first() -> None:
    small = machine("small", 1, 1, "avx2")
    plain = machine("plain", 2, 4, "avx2")
    box = machine("box", 2, 8, "avx2")
    server = machine("server", 2, 4, "avx2", "avx512_vnni")
    assert three_of([small, plain, box, server]) == (server, box, small)
    assert three_of([small, plain, box]) == (box, plain, small)
    assert three_of([plain, replace(plain, id="twin"), small]) == (
        plain,
        small,
        replace(plain, id="twin"),
    )


def test_too_few_machines_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="satisfies 1 of"):
        three_of([machine("only", 2, 4)])
