# SPDX-License-Identifier: Apache-2.0
"""Subjects with a real engine: answers, blocks and what is said of the child."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from insight_edge.bench.felt import Felt
from insight_edge.bench.measure import MAX_BLOCK, MIN_BLOCK
from insight_edge.bench.subject import SubjectProcess
from insight_edge.bench.timing import Scheme, time_launches, time_subjects
from insight_edge.bench.verdict import MIN_ITERATIONS, MIN_ROUNDS
from tests.fakes import engine
from tests.fakes.engine_bundles import onnx_artifact, rows_of, weights_of, write_engine_bundle

pytest.importorskip("onnxruntime")

TOKEN = "onnxruntime"
MIB = 2**20


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bundles") / "b"
    write_engine_bundle(place, TOKEN, onnx_artifact(weights_of(0)), weights_of(0))
    return place


@pytest.fixture
def subject(bundle: Path) -> Iterator[SubjectProcess]:
    with SubjectProcess(bundle) as running:
        yield running


@pytest.mark.parametrize("rows", [1, 64, 150])
def test_answers_are_those_of_the_model_whatever_the_count(
    subject: SubjectProcess, rows: int
) -> None:
    inputs = rows_of(rows, rows)
    found, expected = subject.answer(inputs), engine.answers(inputs, weights_of(0))
    np.testing.assert_allclose(found["y"], expected["y"], atol=1e-5)
    np.testing.assert_array_equal(found["top"], expected["top"])


def test_block_holds_a_plausible_duration_for_every_inference(subject: SubjectProcess) -> None:
    block = subject.block(40)
    assert block.dtype == np.int64
    assert block.shape == (40,)
    assert block.min() > 0


def test_child_says_how_it_was_loaded_and_what_with(subject: SubjectProcess) -> None:
    loaded = subject.loaded
    assert min(loaded.load_ms, loaded.first_ms, loaded.call_s) > 0
    assert {"numpy", "onnxruntime"} <= loaded.packages.keys()


def test_memory_is_the_childs_own_and_not_its_parents(bundle: Path) -> None:
    with SubjectProcess(bundle) as alone:
        small = alone.usage().peak_rss_bytes
    ballast = np.ones(64 * MIB)
    with SubjectProcess(bundle) as beside:
        assert beside.usage().peak_rss_bytes < small + 64 * MIB < ballast.nbytes


def test_switches_are_counted_in_blocks_alone(subject: SubjectProcess) -> None:
    assert subject.usage().felt == Felt()
    subject.answer(rows_of(0, 100))
    assert subject.usage().felt == Felt()


def test_child_stays_on_the_processors_it_was_given(bundle: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    with SubjectProcess(bundle, cpus=[cpu]) as pinned:
        assert pinned._child is not None
        assert os.sched_getaffinity(pinned._child.pid) == {cpu}


def test_own_rows_are_asked_instead_of_the_golden_ones(bundle: Path) -> None:
    with SubjectProcess(bundle, inputs=rows_of(3, 7)) as subject:
        assert len(subject.block(20)) == 20


def test_fixed_batch_is_kept(tmp_path: Path) -> None:
    write_engine_bundle(tmp_path / "b", TOKEN, onnx_artifact(weights_of(0)), weights_of(0), batch=3)
    with SubjectProcess(tmp_path / "b") as subject:
        inputs = rows_of(1, 9)
        np.testing.assert_array_equal(
            subject.answer(inputs)["top"], engine.answers(inputs, weights_of(0))["top"]
        )
        assert len(subject.block(5)) == 5


def test_bundle_and_interpreter_may_be_named_from_here(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle.parent)
    python = Path(os.path.relpath(sys.executable, Path.cwd()))
    with SubjectProcess(Path(bundle.name), python=python) as subject:
        assert len(subject.block(5)) == 5


def test_subjects_timed_together_have_a_measurement_each(bundle: Path) -> None:
    scheme = Scheme(rounds=6, iterations=100, threads=1)
    with SubjectProcess(bundle) as first, SubjectProcess(bundle) as second:
        found = time_subjects([first, second], scheme)
    for timed in found:
        assert [len(block) for block in timed.blocks] == [17] * 6
        assert (timed.measurement.iterations, timed.measurement.rounds) == (102, 6)
        assert list(timed.measurement.percentiles_ms) == ["p90"]
        assert timed.measurement.peak_rss_bytes > 10 * MIB
        assert timed.measurement.engine_bytes is not None
        assert MIB < timed.measurement.engine_bytes < timed.measurement.peak_rss_bytes
        assert timed.measurement.verdict in {"VALID", "NOISY", "THROTTLED"}


def test_block_is_as_long_as_its_subject_asks_where_nobody_says(bundle: Path) -> None:
    with SubjectProcess(bundle) as subject:
        (timed,) = time_subjects([subject], Scheme(rounds=2, threads=1))
    assert all(MIN_BLOCK <= len(block) <= MAX_BLOCK for block in timed.blocks)
    assert timed.measurement.verdict == "INVALID"


@pytest.mark.parametrize("rounds", [MIN_ROUNDS, 7, 9, 10])
def test_slow_subject_is_asked_often_enough_in_as_few_rounds_as_are_taken(
    subject: SubjectProcess, rounds: int
) -> None:
    subject.loaded = msgspec.structs.replace(subject.loaded, call_s=1.0)
    (timed,) = time_subjects([subject], Scheme(rounds=rounds, threads=1))
    assert timed.measurement.iterations >= MIN_ITERATIONS
    assert timed.measurement.verdict != "INVALID"


def test_every_launch_starts_all_anew_and_leaves_none(bundle: Path) -> None:
    started: list[tuple[str, SubjectProcess]] = []

    def start(name: str) -> Callable[[], SubjectProcess]:
        def start_one() -> SubjectProcess:
            started.append((name, SubjectProcess(bundle)))
            return started[-1][1]

        return start_one

    told: list[Any] = []
    scheme = Scheme(rounds=2, iterations=10, threads=1, seed=1)
    found = time_launches([start("a"), start("b")], scheme, launches=3, tell=told.append)
    assert [len(launch) for launch in found] == [2, 2, 2]
    assert sorted(name for name, _ in started) == ["a"] * 3 + ["b"] * 3
    firsts = [name for name, _ in started[::2]]
    assert set(firsts) == {"a", "b"}, "who is started first is drawn by lot"
    assert told == [1, 2, 3]
    assert all(subject._child is None for _, subject in started)
