# SPDX-License-Identifier: Apache-2.0
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.report import Report
from insight_edge.errors import InferenceFailedError, TensorMismatchError
from insight_edge.runtime.batching import Batched
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.result import Result
from insight_edge.runtime.serving import split
from tests.fakes.matrix import (
    COLUMNS,
    Array,
    MatrixEngine,
    install,
    one_row,
    random_matrix,
    tagged_matrix,
    write_matrix_bundle,
)

CALLERS, EACH = 6, 30
POISON = 666.0


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def runtime(engine: MatrixEngine, tmp_path: Path) -> Iterator[Runtime]:
    write_matrix_bundle(tmp_path / "1", tagged_matrix(1))
    write_matrix_bundle(tmp_path / "2", tagged_matrix(2))
    with Runtime.open(tmp_path / "1", allow_unsigned=True, threads=1) as opened:
        yield opened
    assert engine.live == 0
    assert engine.used_after_close == 0


def reports_of(runtime: Runtime) -> list[Report]:
    return list(iter(runtime.take_report, None))


def ask(batched: Batched, first: int) -> list[Result]:
    """Return answers to as many calls of unlike rows, each of its own size."""
    found = []
    for number in range(first, first + EACH):
        rows = np.full((1 + number % 3, COLUMNS), float(number), np.float32)
        found.append(batched.infer({"x": rows}, key=f"{number}"))
    return found


@given(rows=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_split_gives_each_call_its_own_rows(rows: list[int]) -> None:
    whole = np.arange(sum(rows))
    parts = [part["y"] for part in split({"y": whole}, rows)]
    assert [len(part) for part in parts] == rows
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    with pytest.raises(ValueError, match="a row for each"):
        split({"y": whole[:-1]}, rows)


def test_every_caller_has_its_own_answer_and_counts_once_also_across_a_swap(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    batched = Batched(runtime, max_calls=CALLERS, max_wait_ms=2)
    sizes: list[int] = []
    engine.spoil = lambda _, x: sizes.append(len(x))
    first = runtime.served
    assert first is not None
    with ThreadPoolExecutor(CALLERS) as callers:
        several = [callers.submit(ask, batched, 1000 * n) for n in range(CALLERS)]
        runtime.swap(tmp_path / "2")
        answers = [result for each in several for result in each.result()]
    for result in answers:
        tag = 1 if result.bundle == first.bundle else 2
        number = int(result.key or 0)
        assert result.outputs["y"].shape[0] == 1 + number % 3
        np.testing.assert_allclose(result.outputs["y"], tag * number, rtol=1e-5)
    assert len({result.id for result in answers}) == CALLERS * EACH
    assert max(sizes) > 3, "some calls were made together"
    counts = [report.counts for report in reports_of(runtime)]
    assert sum(each.asked for each in counts) == CALLERS * EACH
    assert sum(each.answered for each in counts) == CALLERS * EACH
    assert sum(each.observed for each in counts) == sum(
        1 + number % 3 for n in range(CALLERS) for number in range(1000 * n, 1000 * n + EACH)
    )


@pytest.mark.parametrize("poison", [{"x": np.full((1, COLUMNS), POISON, np.float32)}, {}])
def test_what_is_wrong_with_one_call_stays_with_it(
    runtime: Runtime, engine: MatrixEngine, poison: dict[str, Array]
) -> None:
    def fail(_: Array, x: Array) -> None:
        if (x == POISON).any():
            raise ArithmeticError("planted")

    engine.spoil = fail
    batched = Batched(runtime, max_calls=4, max_wait_ms=10_000)
    with ThreadPoolExecutor(4) as callers:
        good = [callers.submit(batched.infer, one_row(float(n))) for n in range(1, 4)]
        bad = callers.submit(batched.infer, poison)
        assert [float(each.result().outputs["y"][0, 0]) for each in good] == [1, 2, 3]
        with pytest.raises((InferenceFailedError, TensorMismatchError)):
            bad.result()
    (report,) = reports_of(runtime)
    assert report.counts.answered == 3
    assert report.counts.asked == 3 + report.counts.failed


def test_batch_that_is_not_full_is_made_after_its_wait(runtime: Runtime) -> None:
    batched = Batched(runtime, max_calls=100, max_wait_ms=1)
    assert batched.infer(one_row()).outputs["y"][0, 0] == 1
    assert batched.infer(one_row()).outputs["y"][0, 0] == 1


def test_bundle_of_a_fixed_batch_is_asked_call_by_call(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    write_matrix_bundle(tmp_path / "fixed", random_matrix(0), batch=1)
    runtime.swap(tmp_path / "fixed")
    gone = threading.Event()
    engine.spoil = lambda _, x: gone.set() if len(x) != 1 else None
    with ThreadPoolExecutor(4) as callers:
        calls = [callers.submit(Batched(runtime).infer, one_row()) for _ in range(8)]
        assert all(call.result().outputs["y"].shape[0] == 1 for call in calls)
    assert not gone.is_set()


def test_key_of_a_challengers_share_is_its_own_all_the_same(
    runtime: Runtime, tmp_path: Path
) -> None:
    runtime.challenge(tmp_path / "2", share=1.0, cpu_share=0.5)
    batched = Batched(runtime, max_wait_ms=0)
    assert batched.infer(one_row(), key="a").role == "challenger"
    assert batched.infer(one_row()).role == "serve"
    runtime.unchallenge()
    told = [report.challenge for report in reports_of(runtime) if report.challenge is not None]
    assert sum(one.sampled for one in told) == 1


@pytest.mark.parametrize(("calls", "wait_ms"), [(0, 1.0), (1, -1.0), (1, float("nan"))])
def test_impossible_batches_are_refused(runtime: Runtime, calls: int, wait_ms: float) -> None:
    with pytest.raises(ValueError, match="batches"):
        Batched(runtime, max_calls=calls, max_wait_ms=wait_ms)
