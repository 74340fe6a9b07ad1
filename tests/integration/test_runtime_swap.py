# SPDX-License-Identifier: Apache-2.0
"""Swaps under load: nothing dropped, nothing mixed, and the old bundle serves on any error."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from insight_edge.documents.report import Report
from insight_edge.errors import SelfCheckError, TensorMismatchError, UpdateError
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.result import Result
from tests.fakes.matrix import (
    ARTIFACT,
    COLUMNS,
    TOKEN,
    MatrixEngine,
    install,
    one_row,
    random_matrix,
    tagged_matrix,
    write_matrix_bundle,
)

Matrix = NDArray[np.float32]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def runtime(engine: MatrixEngine, tmp_path: Path) -> Iterator[Runtime]:
    write_matrix_bundle(tmp_path / "1", tagged_matrix(1))
    write_matrix_bundle(tmp_path / "2", tagged_matrix(2))
    with Runtime.open(tmp_path / "1", allow_unsigned=True) as opened:
        yield opened
    assert engine.live == 0
    assert engine.used_after_close == 0


def answer_of(runtime: Runtime) -> float:
    return float(runtime.infer(one_row()).outputs["y"][0, 0])


def take_all(runtime: Runtime) -> list[Report]:
    return list(iter(runtime.take_report, None))


def onnx_bytes(matrix: Matrix) -> bytes:
    """Return `y = x @ matrix` as ONNX."""
    helper = pytest.importorskip("onnx.helper")
    numpy_helper = pytest.importorskip("onnx.numpy_helper")
    pytest.importorskip("onnxruntime")
    rows, columns = matrix.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "matrix",
        [helper.make_tensor_value_info("x", 1, ["batch", rows])],
        [helper.make_tensor_value_info("y", 1, ["batch", columns])],
        [numpy_helper.from_array(matrix, "w")],
    )
    opsets = [helper.make_opsetid("", 18)]
    encoded: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=10
    ).SerializeToString()
    return encoded


def call_without_end(runtime: Runtime, done: threading.Event, results: list[Result]) -> None:
    while not done.is_set():
        results.append(runtime.infer(one_row()))


@pytest.mark.parametrize(("backend", "swaps"), [(TOKEN, 40), ("onnxruntime", 12)])
def test_swap_under_load_drops_and_mixes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str, swaps: int
) -> None:
    if backend == TOKEN:
        install(monkeypatch)
    tags = {}
    for tag in (1.0, 2.0, 3.0):
        matrix = tagged_matrix(tag)
        artifact = None if backend == TOKEN else onnx_bytes(matrix)
        path = tmp_path / str(tag)
        tags[write_matrix_bundle(path, matrix, backend=backend, artifact=artifact)] = tag
    done = threading.Event()
    results: list[list[Result]] = [[] for _ in range(4)]
    with Runtime.open(tmp_path / "1.0", allow_unsigned=True, threads=1) as runtime:
        callers = [
            threading.Thread(target=call_without_end, args=(runtime, done, own)) for own in results
        ]
        for caller in callers:
            caller.start()
        for index in range(swaps):
            seen = sum(map(len, results))
            record = runtime.swap(tmp_path / f"{index % 3 + 1}.0")
            assert record.flip_ms < 100
            while sum(map(len, results)) < seen + 20:  # every bundle is called
                done.wait(0.001)
        done.set()
        for caller in callers:
            caller.join()
        reports = take_all(runtime)
    answers = [result for own in results for result in own]
    for result in answers:
        np.testing.assert_allclose(result.outputs["y"], tags[result.bundle], rtol=1e-5)
    assert len({result.counter for result in answers}) == len(answers)
    counted: Counter[str] = Counter()
    for report in reports:
        assert report.counts.asked == report.counts.answered
        assert report.counts.broken == report.counts.failed == 0
        counted[report.bundle] += report.counts.answered
    assert counted == Counter(result.bundle for result in answers)
    assert [report.sequence for report in reports] == sorted(report.sequence for report in reports)


def test_callers_inside_at_the_flip_are_answered_by_the_old_bundle(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    old = runtime.infer(one_row()).bundle
    results: list[Result] = []
    callers = [
        threading.Thread(target=lambda: results.append(runtime.infer(one_row()))) for _ in range(3)
    ]
    succession = runtime._succession
    before = succession.serving
    assert before is not None

    original = succession._prepare

    def prepare_then_hold(*arguments: object) -> object:
        prepared = original(*arguments)  # type: ignore[arg-type]  # passed on as they came
        while engine.inside.acquire(blocking=False):
            pass
        engine.gate.clear()
        for caller in callers:
            caller.start()
        for _ in callers:
            engine.inside.acquire()
        return prepared

    succession._prepare = prepare_then_hold  # type: ignore[method-assign,assignment]  # holds callers just before the flip
    records = []
    swapper = threading.Thread(target=lambda: records.append(runtime.swap(tmp_path / "2")))
    swapper.start()
    while succession.serving is before:
        threading.Event().wait(0.001)
    assert swapper.is_alive()
    engine.gate.set()
    new = runtime.infer(one_row())
    for thread in (*callers, swapper):
        thread.join()
    assert records[0].in_flight == 3
    assert {result.bundle for result in results} == {old}
    assert {float(result.outputs["y"][0, 0]) for result in results} == {1.0}
    assert (new.bundle == old, float(new.outputs["y"][0, 0])) == (False, 2.0)
    reports = take_all(runtime)
    assert [(report.bundle, report.counts.answered) for report in reports] == [
        (old, 4),
        (new.bundle, 1),
    ]


def hang_one_caller(runtime: Runtime, engine: MatrixEngine) -> threading.Thread:
    while engine.inside.acquire(blocking=False):
        pass
    engine.gate.clear()
    caller = threading.Thread(target=runtime.infer, args=(one_row(),))
    caller.start()
    engine.inside.acquire()
    return caller


def test_hanging_caller_keeps_its_session_and_not_the_swap(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    runtime._succession._drain_timeout_s = 0.05
    gates: list[threading.Event] = [engine.gate]
    caller = hang_one_caller(runtime, engine)
    engine.gate = threading.Event()  # new calls pass, the one inside waits at the old gate
    engine.gate.set()
    assert runtime.swap(tmp_path / "2").in_flight == 1
    assert answer_of(runtime) == 2
    assert engine.live == 2
    runtime._succession.retire()
    assert engine.live == 2
    gates[0].set()
    caller.join()
    runtime._succession.retire()
    assert engine.live == 1
    assert [report.counts.answered for report in take_all(runtime)] == [1, 1]


def flipped(matrix: Matrix) -> Matrix:
    return np.concatenate([-matrix[:, :1], matrix[:, 1:]], axis=1)


@pytest.mark.parametrize(
    "breaks",
    [
        lambda matrix: np.roll(matrix, 1, axis=1),
        flipped,
        lambda matrix: matrix / np.float32(0.98),
        lambda matrix: matrix * np.float32(np.nan),
    ],
    ids=["permuted classes", "one sign", "normalisation", "nan"],
)
def test_swap_refuses_a_broken_model_and_the_old_one_serves(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path, breaks: Callable[[Matrix], Matrix]
) -> None:
    source = random_matrix(5)
    write_matrix_bundle(tmp_path / "broken", breaks(source), answers_of=source)
    with pytest.raises(SelfCheckError, match="golden samples") as caught:
        runtime.swap(tmp_path / "broken")
    assert caught.value.phase == "verify"
    assert answer_of(runtime) == 1
    assert engine.live == 1


def test_swap_tells_the_phase_that_failed(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def phase_of(path: Path) -> tuple[str | None, str]:
        with pytest.raises(UpdateError) as caught:
            runtime.swap(path)
        return caught.value.phase, type(caught.value.__cause__).__name__

    assert phase_of(tmp_path / "absent") == ("stage", "DocumentError")
    write_matrix_bundle(tmp_path / "other", tagged_matrix(3), backend="absent")
    assert phase_of(tmp_path / "other") == ("stage", "EngineMissingError")
    write_matrix_bundle(tmp_path / "cut", tagged_matrix(3), artifact=b"no matrix")
    assert phase_of(tmp_path / "cut") == ("stage", "LoadFailedError")
    (tmp_path / "2" / ARTIFACT).write_bytes(b"flipped")
    assert phase_of(tmp_path / "2") == ("stage", "DigestMismatchError")
    write_matrix_bundle(tmp_path / "3", tagged_matrix(3))
    with monkeypatch.context() as patch:
        patch.setattr(engine, "failing", True)
        assert phase_of(tmp_path / "3") == ("verify", "InferenceFailedError")
    assert answer_of(runtime) == 1
    assert engine.live == 1
    assert runtime.swap(tmp_path / "3").origin is not None
    assert answer_of(runtime) == 3


def test_second_swap_is_refused_while_one_is_under_way(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    while engine.inside.acquire(blocking=False):
        pass
    engine.gate.clear()
    first = threading.Thread(target=runtime.swap, args=(tmp_path / "2",))
    first.start()
    engine.inside.acquire()  # it is verifying
    with pytest.raises(UpdateError, match="another swap") as caught:
        runtime.swap(tmp_path / "1")
    assert caught.value.phase == "request"
    engine.gate.set()
    first.join()
    assert answer_of(runtime) == 2


def test_swap_may_change_the_inputs(runtime: Runtime, tmp_path: Path) -> None:
    answer_of(runtime)
    write_matrix_bundle(tmp_path / "pairs", tagged_matrix(9), batch=2)
    runtime.swap(tmp_path / "pairs")
    with pytest.raises(TensorMismatchError):
        runtime.infer(one_row())
    rows = np.ones((2, COLUMNS), np.float32)
    assert runtime.infer({"x": rows}).outputs["y"].shape[0] == 2


def test_swaps_leave_no_thread_or_session_behind(
    runtime: Runtime, engine: MatrixEngine, tmp_path: Path
) -> None:
    threads = threading.active_count()
    for index in range(30):
        runtime.swap(tmp_path / str(index % 2 + 1))
        answer_of(runtime)
    assert threading.active_count() == threads
    assert engine.live == 1


def test_swap_is_refused_after_close(runtime: Runtime, tmp_path: Path) -> None:
    runtime.close()
    with pytest.raises(ValueError, match="closed"):
        runtime.swap(tmp_path / "2")


def test_swap_that_finds_a_window_without_news_leaves_no_hole_in_their_numbers(
    runtime: Runtime, tmp_path: Path
) -> None:
    answer_of(runtime)
    reports = take_all(runtime)
    runtime.swap(tmp_path / "2")
    answer_of(runtime)
    told = [(one.sequence, one.counts.asked) for one in (*reports, *take_all(runtime))]
    assert told == [(0, 1), (1, 0), (2, 1)]


def test_served_is_what_new_callers_meet(runtime: Runtime, tmp_path: Path) -> None:
    told = []
    for place in ("1", "2"):
        if place == "2":
            runtime.swap(tmp_path / place)
        served = runtime.served
        assert served is not None
        assert served.bundle == runtime.infer(one_row()).bundle
        assert (served.variant, served.engine, served.signed) == ("matrix-fp32", TOKEN, False)
        told.append(served.bundle)
    assert len(set(told)) == 2
    runtime.close()
    assert runtime.served is None
