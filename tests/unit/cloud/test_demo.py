# SPDX-License-Identifier: Apache-2.0
"""The demo's judgement: every promise can be broken, and then says so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from insight_cloud.demo.figures import (
    Accuracy,
    Device,
    accuracy_of,
    in_swap,
    latency_of,
    mixed_answers,
    windows_to_alarm,
)
from insight_cloud.demo.machines import Machine, three_of
from insight_cloud.demo.promises import Story, promises
from insight_cloud.demo.recording import CLASSES, Journal, Recording, read_recording
from insight_cloud.demo.world import PEAK, SHIFTS, known_labels, shifted
from insight_edge.documents.host import SwapRecord
from insight_edge.errors import ConfigurationError

OLD = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.4, 0.6]]], np.float32)
NEW = np.array([[[0.6, 0.4], [0.1, 0.9]], [[0.5, 0.5], [0.3, 0.7]]], np.float32)
LATENCY = latency_of(np.array([1_000_000]))


def recording() -> Recording:
    """Images 0 and 1, before the shift by the old bundle, after it by the new one."""
    return Recording(
        asked=4,
        failed=0,
        bundle=np.array(["old", "old", "new", "new"]),
        image=np.array([0, 1, 0, 1]),
        world=np.array([0, 0, 1, 1]),
        started_ns=np.array([0, 10, 20, 30]),
        latency_ns=np.array([5, 5, 5, 5]),
        probabilities=np.stack([OLD[0, 0], OLD[0, 1], NEW[1, 0], NEW[1, 1]]),
    )


def device() -> Device:
    return Device(
        name="gate-north",
        profile="box",
        before=Accuracy(right=98, total=100),
        under=Accuracy(right=60, total=100),
        after=Accuracy(right=93, total=100),
        windows_to_alarm=2,
        early_alarms=0,
        asked=400,
        answered=400,
        failed=0,
        mixed=0,
        swap=LATENCY,
        bundle_bytes=5_000_000,
        fetched_bytes=4_000_000,
        reported=400,
        reports=20,
        report_bytes=1500.0,
        lost=0,
    )


def story(**changes: object) -> Story:
    """Return a good story in which one device is another."""
    return Story(
        shifted=True,
        devices=(device(), replace(device(), name="gate-east", **changes)),  # type: ignore[arg-type]
        alarms=2,
        runs=1,
        run_state="promoted",
        labelled=180,
        final_labelled=0,
        first_ahead_s=2.0,
        cut_off=0,
        wall_s=300.0,
    )


def quiet() -> Story:
    return replace(story(), shifted=False, alarms=0, runs=0, run_state=None)


def test_all_promises_are_kept_when_everything_happened() -> None:
    assert all(promise.kept for promise in promises(story()))
    assert all(promise.kept for promise in promises(quiet()))


@pytest.mark.parametrize(
    "broken",
    [
        story(early_alarms=1),
        story(under=Accuracy(right=97, total=100), after=Accuracy(right=98, total=100)),
        replace(story(windows_to_alarm=None), devices=(replace(device(), windows_to_alarm=None),)),
        replace(
            story(),
            devices=(
                replace(device(), windows_to_alarm=11),
                replace(device(), windows_to_alarm=None),
            ),
        ),
        replace(story(), run_state="rolled back"),
        replace(story(), final_labelled=1),
        replace(story(), labelled=0),
        replace(story(), first_ahead_s=-0.1),
        replace(story(), first_ahead_s=None),
        story(after=Accuracy(right=70, total=100)),
        story(after=Accuracy(right=0, total=0)),
        story(answered=399),
        story(mixed=1),
        story(reported=399),
        story(reported=401),
        story(lost=1),
        replace(story(), wall_s=361.0),
        replace(quiet(), alarms=1),
        replace(quiet(), runs=1),
        replace(quiet(), wall_s=361.0),
    ],
)
def test_each_promise_can_be_broken_alone(broken: Story) -> None:
    assert [promise.kept for promise in promises(broken)].count(False) == 1


def test_one_device_has_no_canary_and_kills_cut_calls_off() -> None:
    alone = replace(story(), devices=(device(),), first_ahead_s=None)
    assert all(promise.kept for promise in promises(alone))
    killed = replace(story(answered=397, reported=394), cut_off=4)
    assert all(promise.kept for promise in promises(killed))
    assert not all(promise.kept for promise in promises(replace(killed, cut_off=2)))
    slow = replace(story(), wall_s=3600.0)
    assert all(promise.kept for promise in promises(slow, in_time=False))


def test_answers_of_their_own_bundle_are_not_mixed() -> None:
    assert not mixed_answers(recording(), {"old": OLD, "new": NEW}).any()


def test_answer_of_the_other_bundle_is_mixed() -> None:
    wrong = replace(recording(), bundle=np.array(["old", "new", "new", "new"]))
    mixed = mixed_answers(wrong, {"old": OLD, "new": NEW})
    assert mixed.tolist() == [False, True, False, False]


def test_answer_of_a_bundle_that_nobody_shipped_is_mixed() -> None:
    assert mixed_answers(recording(), {"old": OLD}).tolist() == [False, False, True, True]


def test_accuracy_counts_what_it_is_told_to() -> None:
    labels, first = np.array([0, 0]), np.array([True, True, False, False])
    assert accuracy_of(recording(), labels, first) == Accuracy(right=1, total=2)
    none = accuracy_of(recording(), labels, ~first & first)
    assert none == Accuracy(right=0, total=0)
    assert none.interval == (0.0, 1.0)


def test_swap_touches_the_calls_around_the_first_answer_of_the_new_bundle() -> None:
    swap = SwapRecord(
        origin="old", target="new", stage_ms=6e-6, verify_ms=0, warm_ms=0, flip_ms=0, drain_ms=0,
        retire_ms=0, in_flight=0,
    )  # fmt: skip
    assert in_swap(recording(), swap).tolist() == [False, True, True, False]
    assert not in_swap(recording(), None).any()


def test_windows_are_counted_from_the_shift_to_the_alarm() -> None:
    seen = [{"number": n, "closed_s": 10.0 * n} for n in range(1, 8)]
    assert windows_to_alarm(seen, 35.0, 5) == 2
    assert windows_to_alarm(seen, 35.0, None) is None


def test_latency_of_nothing_is_zero() -> None:
    assert latency_of(np.zeros(0, np.int64)).answers == 0


def test_recording_survives_a_kill_and_a_restart(tmp_path: Path) -> None:
    for number, bundle in enumerate(("old", "new")):
        journal = Journal(tmp_path / f"calls.{number}", callers=2)
        journal.asked[:] = (2, 1)
        journal.answered(
            image=1, world=number, started_ns=7 - number, latency_ns=9, bundle=bundle,
            probabilities=np.full(CLASSES, 0.1, np.float32),
        )  # fmt: skip
        journal.failed(image=2, world=0, started_ns=8)
        with (tmp_path / f"calls.{number}").open("ab") as torn:
            torn.write(b"half a record")
    found = read_recording(tmp_path / "calls")
    assert (found.asked, found.failed) == (6, 2)
    assert found.bundle.tolist() == ["new", "old"]
    assert (found.world.tolist(), found.probabilities.shape) == ([1, 0], (2, CLASSES))


def test_nothing_asked_is_an_empty_recording(tmp_path: Path) -> None:
    found = read_recording(tmp_path / "calls")
    assert (found.asked, len(found.image)) == (0, 0)


@pytest.mark.parametrize("name", SHIFTS)
def test_shifted_images_are_images_and_the_same_each_time(name: str) -> None:
    images = np.random.default_rng(7).integers(0, PEAK + 1, (5, 8, 8)).astype(np.uint8)
    seen = shifted(images, name, 3)
    assert (seen.shape, seen.dtype.name) == (images.shape, "uint8")
    assert seen.max() <= PEAK
    assert np.array_equal(seen, shifted(images, name, 3))
    assert np.array_equal(seen, images) == (name == "none")


def test_unknown_shift_is_a_mistake_with_a_hint() -> None:
    with pytest.raises(ConfigurationError, match="no shift 'nois'") as caught:
        shifted(np.zeros((1, 8, 8), np.uint8), "nois", 0)
    assert caught.value.hint == "did you mean 'noise'?"


def test_images_that_look_alike_are_known_only_where_they_mean_the_same() -> None:
    images = np.array([[[1]], [[1]], [[2]], [[2]], [[3]]], np.uint8)
    labels = np.array([4, 4, 5, 6, 7])
    assert known_labels(images, labels) == {b"\x01": 4, b"\x03": 7}


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
