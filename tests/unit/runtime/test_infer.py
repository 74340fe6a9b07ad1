# SPDX-License-Identifier: Apache-2.0
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pytest
from msgspec.structs import replace

from insight_edge.bundle.open import open_manifest
from insight_edge.bundle.owner import write_owner
from insight_edge.documents.manifest import Io, Variant
from insight_edge.documents.owner import Owner
from insight_edge.documents.report import Counts
from insight_edge.documents.statistics import summary_from_document
from insight_edge.documents.steps import (
    Argmax,
    Cast,
    Decode,
    Feature,
    Label,
    Observe,
    Resize,
    Scale,
    Softmax,
)
from insight_edge.documents.target import Target
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import (
    ConfigurationError,
    DocumentError,
    EngineMissingError,
    InferenceFailedError,
    LoadFailedError,
    SelfCheckError,
    TensorMismatchError,
    UnsignedError,
)
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.result import Flags
from insight_edge.stats.tally import Tally
from insight_edge.transforms.features import Extractor
from insight_edge.transforms.files import rows_from_files
from tests.fakes.matrix import (
    CLASSES,
    COLUMNS,
    MatrixEngine,
    golden_rows,
    install,
    one_row,
    random_matrix,
    tagged_matrix,
    write_matrix_bundle,
)
from tests.fakes.pictures import png_from_pixels


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


@pytest.fixture
def runtime(engine: MatrixEngine, tmp_path: Path) -> Iterator[Runtime]:
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0))
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True) as opened:
        yield opened
    assert engine.live == 0


def test_result_and_report_of_an_enrolled_device_say_whose_they_are(
    engine: MatrixEngine, tmp_path: Path
) -> None:
    del engine
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0))
    state = tmp_path / "state"
    state.mkdir()
    write_owner(state, Owner(tenant="default", device="press-7", deployment="camera-1"))
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True, state_dir=state) as runtime:
        assert runtime.infer(one_row()).id == "press-7/camera-1/1/0"
        report = runtime.take_report()
    assert report is not None
    assert (report.device, report.deployment, report.signed) == ("press-7", "camera-1", False)


def counts_of(runtime: Runtime) -> Counts:
    report = runtime.take_report()
    assert report is not None
    return report.counts


def test_infer_answers_and_says_who_did(engine: MatrixEngine, tmp_path: Path) -> None:
    digest = write_matrix_bundle(tmp_path / "bundle", random_matrix(0))
    with Runtime.open(
        tmp_path / "bundle", allow_unsigned=True, state_dir=tmp_path / "state"
    ) as runtime:
        row = np.random.default_rng(4).normal(size=(1, COLUMNS)).astype(np.float32)
        result = runtime.infer({"x": row}, key="order-7")
        np.testing.assert_allclose(result.outputs["y"], row @ random_matrix(0), rtol=1e-5)
        assert (result.bundle, result.key, result.id) == (digest, "order-7", "local/default/1/0")
        assert runtime.infer({"x": row}).id == "local/default/1/1"
    with Runtime.open(
        tmp_path / "bundle", allow_unsigned=True, state_dir=tmp_path / "state"
    ) as runtime:
        assert runtime.infer({"x": row}).id == "local/default/2/0"
    assert engine.live == 0


def test_infer_counts_and_summarises_every_row(runtime: Runtime) -> None:
    rows = np.random.default_rng(0).normal(size=(700, COLUMNS)).astype(np.float32)
    for row in rows[:300]:
        runtime.infer({"x": row[None]})
    runtime.infer({"x": rows[300:]})
    report = runtime.take_report()
    assert report is not None
    assert (report.counts.asked, report.counts.answered) == (301, 301)
    assert (report.counts.observed, report.counts.broken) == (700, 0)
    assert report.latency.count == 301
    assert not report.recovered
    assert not report.signed
    serving = runtime._succession.serving
    assert serving is not None
    side = serving._observation.inputs
    assert side is not None
    tally = Tally(side.grid)
    tally.observe(rows.astype(np.float64))
    assert report.inputs is not None
    assert summary_from_document(report.inputs, side.grid) == tally.summary()
    assert report.counts.flagged == side.unusual(rows.astype(np.float64)).sum()
    assert report.outputs is not None
    assert report.outputs.count == 700
    assert runtime.take_report() is None


def test_nan_and_range_are_flagged_counted_and_answered(runtime: Runtime) -> None:
    assert runtime.infer(one_row(0.1)).flags == Flags.NONE
    assert runtime.infer(one_row(np.nan)).flags == Flags.INPUT_NAN
    assert runtime.infer(one_row(1e30)).flags == Flags.OUT_OF_RANGE
    report = runtime.take_report()
    assert report is not None
    assert report.counts.flagged == 2
    assert report.inputs is not None
    assert report.inputs.missing == (1,) * COLUMNS
    assert report.inputs.above == (1,) * COLUMNS


def test_mismatch_is_refused_and_not_counted(runtime: Runtime) -> None:
    with pytest.raises(TensorMismatchError):
        runtime.infer({"x": np.ones((1, COLUMNS))})
    assert runtime.take_report() is None
    runtime.infer(one_row())


def test_engine_failure_is_wrapped_and_counted(runtime: Runtime, engine: MatrixEngine) -> None:
    engine.failing = True
    with pytest.raises(InferenceFailedError, match="ArithmeticError: planted") as caught:
        runtime.infer(one_row())
    assert isinstance(caught.value.__cause__, ArithmeticError)
    engine.failing = False
    runtime.infer(one_row())
    assert counts_of(runtime) == Counts(asked=2, answered=1, failed=1, observed=1)


def test_infer_takes_any_mapping(runtime: Runtime) -> None:
    runtime.infer(MappingProxyType(one_row()))
    assert counts_of(runtime).answered == 1


def test_outputs_belong_to_the_caller(runtime: Runtime) -> None:
    first = runtime.infer(one_row()).outputs["y"]
    kept = first.copy()
    runtime.infer(one_row(5.0))
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    assert runtime.infer(one_row()).outputs["y"].any()


def test_broken_observer_counts_itself_and_inference_goes_on(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(Extractor, "rows", broken)
        for _ in range(10):
            runtime.infer(one_row())
        counts = counts_of(runtime)
    assert (counts.asked, counts.answered, counts.observed) == (10, 10, 0)
    assert counts.broken > 0
    runtime.infer(one_row())
    assert counts_of(runtime).observed == 1


def test_full_lane_samples_and_says_so(runtime: Runtime) -> None:
    runtime.infer(one_row())
    serving = runtime._succession.serving
    assert serving is not None
    with serving._observer._lock:  # the observer cannot flush meanwhile
        runtime.infer({"x": np.zeros((5000, COLUMNS), np.float32)})
        runtime.infer(one_row())
    counts = counts_of(runtime)
    assert counts.answered == 3
    assert counts.observed < 5002
    assert counts.broken == 0


def test_window_counts_are_complete_under_concurrent_callers_and_takers(runtime: Runtime) -> None:
    done = threading.Event()
    taken: list[Counts] = []

    def take() -> None:
        while not done.is_set():
            report = runtime.take_report()
            if report is not None:
                taken.append(report.counts)

    def call() -> None:
        for _ in range(400):
            runtime.infer(one_row())

    callers = [threading.Thread(target=call) for _ in range(4)]
    taker = threading.Thread(target=take)
    for thread in (taker, *callers):
        thread.start()
    for thread in callers:
        thread.join()
    done.set()
    taker.join()
    report = runtime.take_report()
    taken += [report.counts] if report else []
    serving = runtime._succession.serving
    assert serving is not None
    assert sum(counts.asked for counts in taken) == 1600
    assert sum(counts.answered for counts in taken) == 1600
    assert sum(counts.observed for counts in taken) == sum(lane.head for lane in serving._lanes)
    assert len(taken) > 1


@pytest.mark.parametrize("stage", ["raw", "tensor"])
def test_pre_and_post_run_around_the_engine(
    engine: MatrixEngine, tmp_path: Path, stage: Literal["raw", "tensor"]
) -> None:
    x = TensorSpec(name="x", dtype="float32", shape=("batch", COLUMNS))
    y = TensorSpec(name="y", dtype="float32", shape=("batch", CLASSES))
    raw = TensorSpec(name="raw", dtype="float32", shape=("batch", COLUMNS))
    label = TensorSpec(name="label", dtype="str", shape=("batch",))
    observed = "raw" if stage == "raw" else "x"
    write_matrix_bundle(
        tmp_path / "bundle",
        random_matrix(3),
        golden_inputs={"raw": golden_rows() / 2},
        io=Io(inputs=(raw,), outputs=(label,), model_inputs=(x,), model_outputs=(y,)),
        pre=(Scale(source="raw", result="x", factor=2.0),),
        post=(
            Softmax(source="y", result="y"),
            Argmax(source="y", result="class"),
            Label(source="class", result="label", classes=("a", "b", "c", "d")),
        ),
        observe=Observe(
            stage=stage,
            inputs=(Feature(name="x0", tensor=observed, measure="value", index=0),),
            outputs=(Feature(name="y.max", tensor="y", measure="max"),),
        ),
    )
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True) as runtime:
        rows = np.random.default_rng(9).normal(size=(5, COLUMNS)).astype(np.float32)
        result = runtime.infer({"raw": rows})
        report = runtime.take_report()
    expected = (rows @ random_matrix(3)).argmax(axis=1)
    assert result.outputs.keys() == {"label"}
    assert result.outputs["label"].tolist() == ["abcd"[index] for index in expected]
    assert report is not None
    assert report.inputs is not None
    assert report.outputs is not None
    assert report.inputs.minimum[0] == rows[:, 0].min() * (1 if stage == "raw" else 2)
    assert report.outputs.maximum[0] is not None
    assert report.outputs.maximum[0] <= 1
    assert engine.live == 0


def test_row_that_is_no_image_is_the_callers_mistake_counted_and_the_next_is_answered(
    engine: MatrixEngine, tmp_path: Path
) -> None:
    photo = rows_from_files([png_from_pixels(np.zeros((5, 9, 3), np.uint8))])
    file = TensorSpec(name="file", dtype="uint8", shape=("batch", "bytes"))
    x = TensorSpec(name="x", dtype="float32", shape=("batch", COLUMNS))
    y = TensorSpec(name="y", dtype="float32", shape=("batch", CLASSES))
    write_matrix_bundle(
        tmp_path / "bundle",
        tagged_matrix(0),
        golden_inputs={"file": photo.repeat(len(golden_rows()), axis=0)},
        io=Io(inputs=(file,), outputs=(y,), model_inputs=(x,), model_outputs=(y,)),
        pre=(
            Decode(source="file", result="photo"),
            Resize(source="photo", result="photo", height=1, width=COLUMNS),
            Argmax(source="photo", result="photo", axis=3),
            Argmax(source="photo", result="photo", axis=1),
            Cast(source="photo", result="x", dtype="float32"),
        ),
    )
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True) as runtime:
        runtime.infer({"file": photo})
        with pytest.raises(DocumentError, match="row 0: 'file': a PNG that is cut off"):
            runtime.infer({"file": photo[:, :40]})
        runtime.infer({"file": photo})
        counts = counts_of(runtime)
    assert (counts.asked, counts.answered, counts.failed) == (3, 2, 1)
    assert engine.live == 0


@pytest.mark.parametrize("batch", ["batch", 1, 2])
def test_open_asks_golden_samples_in_batches_the_model_takes(
    engine: MatrixEngine, tmp_path: Path, batch: int | str
) -> None:
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0), batch=batch)
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True):
        assert engine.live == 1


def test_open_refuses_an_artifact_that_disagrees(engine: MatrixEngine, tmp_path: Path) -> None:
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0), answers_of=random_matrix(1))
    with pytest.raises(SelfCheckError, match="golden samples: output 'y' is"):
        Runtime.open(tmp_path / "bundle", allow_unsigned=True, state_dir=tmp_path / "state")
    assert engine.live == 0
    write_matrix_bundle(tmp_path / "good", random_matrix(0))
    Runtime.open(tmp_path / "good", allow_unsigned=True, state_dir=tmp_path / "state").close()


def test_open_refuses_an_unsigned_bundle(engine: MatrixEngine, tmp_path: Path) -> None:
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0))
    with pytest.raises(UnsignedError):
        Runtime.open(tmp_path / "bundle")
    assert engine.live == 0


def variants(tmp_path: Path, *pairs: tuple[str, tuple[str, ...]]) -> tuple[Variant, ...]:
    write_matrix_bundle(tmp_path / "draft", random_matrix(0))
    (only,) = open_manifest(tmp_path / "draft", allow_unsigned=True).manifest.variants
    return tuple(
        Variant(
            name=f"{backend}-{index}",
            target=Target(backend=backend, precision="fp32"),
            entry=only.entry,
            files=only.files,
            isa=isa,
            tolerance=1e-4,
        )
        for index, (backend, isa) in enumerate(pairs)
    )


@pytest.mark.parametrize("winner", [("absent", ()), ("matrix", ("isa_of_no_cpu",))])
def test_open_takes_the_fallback_where_the_winner_cannot_run(
    engine: MatrixEngine, tmp_path: Path, winner: tuple[str, tuple[str, ...]]
) -> None:
    both = variants(tmp_path, winner, ("matrix", ()))
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0), variants=both)
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True) as runtime:
        runtime.infer(one_row())
        report = runtime.take_report()
    assert report is not None
    assert report.variant == "matrix-1"
    named = EngineMissingError if winner[0] == "absent" else LoadFailedError
    with pytest.raises(named):
        Runtime.open(tmp_path / "bundle", allow_unsigned=True, variant=f"{winner[0]}-0")
    with pytest.raises(ConfigurationError):
        Runtime.open(tmp_path / "bundle", allow_unsigned=True, variant="nonesuch")
    assert engine.live == 0


def test_open_says_what_is_missing_where_nothing_can_run(
    engine: MatrixEngine, tmp_path: Path
) -> None:
    both = variants(tmp_path, ("absent", ()), ("missing", ()))
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0), variants=both)
    with pytest.raises(EngineMissingError, match="missing-1 runs on missing"):
        Runtime.open(tmp_path / "bundle", allow_unsigned=True)
    assert engine.live == 0


def test_a_contender_serves_only_where_it_is_named(engine: MatrixEngine, tmp_path: Path) -> None:
    winner, able = variants(tmp_path, ("absent", ()), ("matrix", ()))
    both = (winner, replace(able, role="contender"))
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0), variants=both)
    with pytest.raises(EngineMissingError, match="absent-0 runs on absent"):
        Runtime.open(tmp_path / "bundle", allow_unsigned=True)
    Runtime.open(tmp_path / "bundle", allow_unsigned=True, variant="matrix-1").close()
    assert engine.live == 0


def test_state_directory_has_one_host(engine: MatrixEngine, tmp_path: Path) -> None:
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0))
    with (
        Runtime.open(tmp_path / "bundle", allow_unsigned=True, state_dir=tmp_path / "state"),
        pytest.raises(ConfigurationError, match="another runtime host"),
    ):
        Runtime.attach(tmp_path / "state")
    assert engine.live == 0


def test_close_waits_for_callers_and_then_refuses(runtime: Runtime, engine: MatrixEngine) -> None:
    engine.gate.clear()
    while engine.inside.acquire(blocking=False):
        pass
    results: list[float] = []
    caller = threading.Thread(
        target=lambda: results.append(float(runtime.infer(one_row()).outputs["y"].sum()))
    )
    caller.start()
    engine.inside.acquire()
    closer = threading.Thread(target=runtime.close)
    closer.start()
    while runtime._succession.serving is not None:
        time.sleep(0.001)
    with pytest.raises(ValueError, match="closed"):
        runtime.infer(one_row())
    assert closer.is_alive()
    engine.gate.set()
    for thread in (caller, closer):
        thread.join()
    assert len(results) == 1
    assert engine.used_after_close == 0
    assert counts_of(runtime).answered == 1
    runtime.close()


def test_predictions_are_sampled_from_what_was_answered(runtime: Runtime) -> None:
    for index in range(50):
        runtime.infer(one_row(), key=str(index))
    rows = runtime._doors.oldest_predictions(256)
    assert 1 <= len(rows) < 50
    assert rows[0].key == "0"
    assert rows[0].outputs["y"] == pytest.approx(random_matrix(0).sum(axis=0).tolist(), rel=1e-4)


def test_tagged_matrix_answers_its_tag() -> None:
    np.testing.assert_allclose(one_row()["x"] @ tagged_matrix(7.0), np.full((1, CLASSES), 7.0))
