# SPDX-License-Identifier: Apache-2.0
"""A challenger harms nobody, and what it is said to have done is what it did."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from insight_edge.documents.challenge import Challenge, merged
from insight_edge.documents.manifest import Io
from insight_edge.documents.report import Report
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, SlotError, TensorMismatchError, UnsignedError
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.result import Result
from insight_edge.runtime.share import Share
from tests.fakes.matrix import (
    CLASSES,
    COLUMNS,
    Array,
    MatrixEngine,
    install,
    one_row,
    tagged_matrix,
    write_matrix_bundle,
)

SERVES, CHALLENGES = 1.0, 2.0


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def runtime(engine: MatrixEngine, tmp_path: Path) -> Iterator[Runtime]:
    for tag in (SERVES, CHALLENGES):
        write_matrix_bundle(tmp_path / str(tag), tagged_matrix(tag))
    with Runtime.open(tmp_path / str(SERVES), allow_unsigned=True, threads=1) as opened:
        yield opened
    assert engine.live == 0
    assert engine.used_after_close == 0


def reports_of(runtime: Runtime) -> list[Report]:
    return list(iter(runtime.take_report, None))


def challenge_of(reports: list[Report]) -> Challenge:
    """Return what the windows of a challenger say together."""
    found = [report.challenge for report in reports if report.challenge is not None]
    names = ("compared", "dropped", "failed", "keyed_served", "keyed_challenged", "fell_back")
    return Challenge(
        **{name: sum(getattr(one, name) for one in found) for name in names},
        disagreements=merged(part for one in found for part in one.disagreements),
    )


def resolved(runtime: Runtime, wanted: Callable[[Challenge], int], calls: int) -> Challenge:
    """Return what reports say once so many calls have come to an end; a test hangs otherwise."""
    reports: list[Report] = []
    deadline_s = time.monotonic() + 20
    while wanted(challenge_of(reports)) < calls and time.monotonic() < deadline_s:
        reports += reports_of(runtime)
    return challenge_of(reports)


def of_challenger(spoil: Callable[[Array], Array | None]) -> Callable[[Array, Array], Array | None]:
    """Return what spoils the answers of the challenger alone."""

    def spoiling(matrix: Array, x: Array) -> Array | None:
        is_challenger = matrix[0, 0] * COLUMNS == CHALLENGES
        return spoil(x) if is_challenger else None

    return spoiling


def raising(_: Array) -> Array:
    raise MemoryError("planted")


def nothing_but_nan(x: Array) -> Array:
    return np.full((len(x), CLASSES), np.nan, np.float32)


def of_another_shape(x: Array) -> Array:
    return np.zeros((len(x), 1), np.float32)


def test_callers_are_answered_by_the_serving_bundle_alone_and_calls_add_up(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    challenger = runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=0.5)
    repeated = threading.Event()
    engine.spoil = of_challenger(lambda _: repeated.set())
    answers: list[list[Result]] = [[] for _ in range(3)]

    def call(own: list[Result]) -> None:
        own += [runtime.infer(one_row(), key=f"{n}") for n in range(100)]

    callers = [threading.Thread(target=call, args=(own,)) for own in answers]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    repeated.wait()
    runtime.unchallenge()
    reports = reports_of(runtime)
    told = challenge_of(reports)
    assert {float(r.outputs["y"][0, 0]) for own in answers for r in own} == {SERVES}
    assert {r.role for own in answers for r in own} == {"serve"}
    assert told.compared > 0
    assert told.sampled == told.compared + told.dropped + told.failed == 300
    (disagreement,) = told.disagreements
    assert (disagreement.against, disagreement.rows) == (answers[0][0].bundle, told.compared)
    by_role = {report.role: report for report in reports}
    assert by_role["challenger"].bundle == challenger.bundle
    assert by_role["challenger"].counts.answered == told.compared
    assert by_role["serve"].counts.answered == 300


def test_nobody_can_learn_of_an_answer_that_nobody_was_given(
    runtime: Runtime, tmp_path: Path
) -> None:
    challenger = runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=1.0)
    runtime.infer(one_row(), key="order-7")
    resolved(runtime, lambda told: told.compared, 1)
    rows = runtime._boot.predictions.oldest(100)
    assert [row.bundle for row in rows if row.bundle == challenger.bundle] == []
    assert len(rows) == 1


@pytest.mark.parametrize("spoil", [raising, of_another_shape])
def test_challenger_that_fails_is_counted_and_harms_nobody(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path, spoil: Callable[[Array], Array]
) -> None:
    runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=1.0)
    engine.spoil = of_challenger(spoil)
    assert runtime.infer(one_row()).outputs["y"][0, 0] == SERVES
    told = resolved(runtime, lambda told: told.failed, 1)
    assert (told.failed, told.compared) == (1, 0)


def test_nan_of_a_challenger_is_a_difference(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=1.0)
    engine.spoil = of_challenger(nothing_but_nan)
    assert runtime.infer(one_row()).outputs["y"][0, 0] == SERVES
    (found,) = resolved(runtime, lambda told: told.compared, 1).disagreements
    assert (found.rows, found.differing, found.odd) == (1, 1, 1)


def test_challenger_that_hangs_holds_up_neither_callers_nor_its_end(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("insight_edge.runtime.shadow.END_S", 0.01)
    monkeypatch.setattr("insight_edge.runtime.challenger.DRAIN_TIMEOUT_S", 0.01)
    hung, goes_on = threading.Event(), threading.Event()
    runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=1.0)

    def hang(_: Array) -> None:
        hung.set()
        goes_on.wait()

    engine.spoil = of_challenger(hang)
    runtime.infer(one_row())
    hung.wait()
    assert [runtime.infer(one_row()).outputs["y"][0, 0] for _ in range(20)] == [SERVES] * 20
    challenger = runtime._challenger
    assert challenger is not None
    runtime.unchallenge()
    assert runtime.infer(one_row()).outputs["y"][0, 0] == SERVES
    goes_on.set()
    challenger._shadow._thread.join()  # type: ignore[union-attr]  # it repeats calls
    challenger._succession.retire()


def test_share_of_keys_is_answered_by_the_challenger_and_says_so(
    runtime: Runtime, tmp_path: Path
) -> None:
    challenger = runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=0.0, share=0.3)
    expected = Share(0.3, "default")
    results = [runtime.infer(one_row(), key=f"order-{n % 50}") for n in range(200)]
    for result in results:
        is_challengers = (result.key or "") in expected
        assert (result.bundle == challenger.bundle) is is_challengers
        assert result.role == ("challenger" if is_challengers else "serve")
        assert result.outputs["y"][0, 0] == (CHALLENGES if is_challengers else SERVES)
    assert runtime.infer(one_row()).role == "serve"
    challenged = sum(result.role == "challenger" for result in results)
    assert 0 < challenged < 200
    runtime.unchallenge()
    reports = reports_of(runtime)
    told = challenge_of(reports)
    assert (told.keyed_challenged, told.keyed_served, told.fell_back) == (
        challenged,
        200 - challenged,
        0,
    )
    logged = {row.key: row.bundle for row in runtime._boot.predictions.oldest(1000)}
    assert all((b == challenger.bundle) is ((k or "") in expected) for k, b in logged.items())


def test_key_that_the_challenger_fails_is_answered_by_the_serving_bundle(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=0.0, share=1.0)
    engine.spoil = of_challenger(raising)
    result = runtime.infer(one_row(), key="order-7")
    assert (result.role, result.outputs["y"][0, 0]) == ("serve", SERVES)
    with pytest.raises(TensorMismatchError):
        runtime.infer({"other": one_row()["x"]}, key="order-8")
    runtime.unchallenge()
    told = challenge_of(reports_of(runtime))
    assert (told.keyed_challenged, told.keyed_served, told.fell_back) == (0, 1, 2)


def test_every_swap_of_the_serving_bundle_has_its_own_disagreement(
    runtime: Runtime, tmp_path: Path
) -> None:
    runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=1.0)
    first = runtime.infer(one_row())
    told = [resolved(runtime, lambda told: told.compared, 1)]
    runtime.swap(tmp_path / str(CHALLENGES))
    second = runtime.infer(one_row())
    told.append(resolved(runtime, lambda told: told.compared, 1))
    parts = merged(part for one in told for part in one.disagreements)
    assert [part.against for part in parts] == [first.bundle, second.bundle]
    y = [part.outputs[0].decibels for part in parts]
    assert y == [{"0": 1}, {"20": 1}]


def test_new_challenger_takes_the_place_of_the_old_one(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    runtime.challenge(tmp_path / str(CHALLENGES))
    write_matrix_bundle(tmp_path / "3", tagged_matrix(3))
    third = runtime.challenge(tmp_path / "3")
    assert runtime.challenger == third
    assert engine.live == 2


def test_bundle_that_cannot_challenge_leaves_the_one_that_does(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    there = runtime.challenge(tmp_path / str(CHALLENGES))
    write_matrix_bundle(tmp_path / "fixed", tagged_matrix(4), batch=1)
    x = TensorSpec(name="x", dtype="float32", shape=("batch", COLUMNS))
    other = TensorSpec(name="y", dtype="float32", shape=("batch", CLASSES + 1))
    write_matrix_bundle(
        tmp_path / "other",
        np.ones((COLUMNS, CLASSES + 1), np.float32),
        io=Io(inputs=(x,), outputs=(other,), model_inputs=(x,), model_outputs=(other,)),
    )
    for name in ("fixed", "other"):
        with pytest.raises(ConfigurationError, match="not those of the bundle that serves"):
            runtime.challenge(tmp_path / name)
        assert runtime.challenger == there
    assert engine.live == 2
    with pytest.raises(ConfigurationError, match="processor"):
        runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=1.5)
    with pytest.raises(ValueError, match="share"):
        runtime.challenge(tmp_path / str(CHALLENGES), share=2)


def test_nothing_can_be_challenged_where_nothing_serves(
    engine: MatrixEngine, tmp_path: Path
) -> None:
    del engine
    write_matrix_bundle(tmp_path / "1", tagged_matrix(1))
    with (
        Runtime.attach(tmp_path / "state", allow_unsigned=True) as idle,
        pytest.raises(SlotError, match="challenged"),
    ):
        idle.challenge(tmp_path / "1")
    with pytest.raises(ValueError, match="closed"):
        idle.challenge(tmp_path / "1")


def test_unsigned_challenger_needs_what_a_serving_one_needs(
    runtime: Runtime, tmp_path: Path
) -> None:
    runtime._allow_unsigned = False
    with pytest.raises(UnsignedError):
        runtime.challenge(tmp_path / str(CHALLENGES))


def test_windows_of_both_are_numbered_together(runtime: Runtime, tmp_path: Path) -> None:
    runtime.challenge(tmp_path / str(CHALLENGES), cpu_share=1.0)
    reports: list[Report] = []
    for _ in range(3):
        runtime.infer(one_row())
        reports += reports_of(runtime)
    runtime.unchallenge()
    runtime.infer(one_row())
    reports += reports_of(runtime)
    numbers = sorted(report.sequence for report in reports)
    assert all(after == before + 1 for before, after in pairwise(numbers))
