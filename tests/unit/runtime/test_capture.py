# SPDX-License-Identifier: Apache-2.0
"""Inputs that are kept to be looked at: which, how many, and that no caller notices."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.bundle.owner import write_owner
from insight_edge.documents.codec import decode_wire, digest
from insight_edge.documents.delivery import SampleOffer
from insight_edge.documents.manifest import Reference
from insight_edge.documents.owner import Owner
from insight_edge.documents.statistics import document_from_grid, document_from_summary
from insight_edge.documents.steps import Feature, Observe
from insight_edge.runtime import capture
from insight_edge.runtime.infer import Runtime
from insight_edge.stats.grid import grid_from_rows
from insight_edge.stats.tally import Tally
from tests.fakes.matrix import CLASSES, COLUMNS, MatrixEngine, install, one_row, write_matrix_bundle

OWNER = Owner(tenant="default", device="press-7", deployment="camera-1")
IDENTITY = np.eye(COLUMNS, CLASSES, dtype=np.float32)
"""The answer to a row is its first columns, so a test says how confident it is."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    monkeypatch.setattr("insight_edge.runtime.serving.PERIOD_NS", 0)  # every call is a sample
    return install(monkeypatch)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    write_owner(tmp_path / "state", OWNER)
    names = [*(f"x{i}" for i in range(COLUMNS)), "y.confidence"]
    values = np.random.default_rng(0).uniform(size=(1600, len(names)))
    tally = Tally(grid_from_rows(names, values))
    tally.observe(values)
    write_matrix_bundle(
        tmp_path / "bundle",
        IDENTITY,
        observe=Observe(
            inputs=tuple(
                Feature(name=f"x{i}", tensor="x", measure="value", index=i) for i in range(COLUMNS)
            ),
            outputs=(Feature(name="y.confidence", tensor="y", measure="confidence"),),
        ),
        reference=Reference(
            grid=document_from_grid(tally.grid),
            summary=document_from_summary(tally.summary()),
            rows=len(values),
        ),
    )
    return tmp_path / "state"


@pytest.fixture
def runtime(engine: MatrixEngine, state: Path, tmp_path: Path) -> Iterator[Runtime]:
    del engine
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True, state_dir=state) as opened:
        yield opened


def kept(runtime: Runtime, state: Path) -> list[SampleOffer]:
    """Return what was kept, when all of it was judged."""
    runtime.close()
    paths = sorted((state / "samples").glob("*.offer"))
    offers = [decode_wire(SampleOffer, path.read_bytes()) for path in paths]
    for path, offer in zip(paths, offers, strict=True):
        data = path.with_suffix(".npz").read_bytes()
        assert (digest(data), len(data)) == (offer.digest, offer.length_bytes)
    return sorted(offers, key=lambda offer: offer.at_s)


def row(confidence: float, other: float = 0.01) -> dict[str, np.ndarray]:
    inputs = one_row(other)
    inputs["x"][0, 0] = confidence
    return inputs


def test_uncertain_input_is_kept_with_its_answer(runtime: Runtime, state: Path) -> None:
    runtime.infer(row(0.9))
    asked = row(0.02)
    result = runtime.infer(asked)
    _, offer = kept(runtime, state)
    assert (offer.device, offer.deployment, offer.id) == ("press-7", "camera-1", result.id)
    assert (offer.reason, offer.bundle) == ("uncertain", result.bundle)
    assert offer.score == pytest.approx(0.02)
    assert offer.outputs["y"] == pytest.approx([0.02, 0.01, 0.01, 0.01])
    data = (state / "samples" / offer.digest[7:]).with_suffix(".npz").read_bytes()
    arrays = arrays_from_npz(data, max_bytes=10_000, max_arrays=4)
    assert np.array_equal(arrays["x"], asked["x"])


@pytest.mark.parametrize("odd", [np.nan, 1e30, -5.0, 7.0])
def test_input_out_of_range_is_kept_before_anything_else(
    runtime: Runtime, state: Path, odd: float
) -> None:
    asked = row(0.02)
    asked["x"][0, 3] = odd
    runtime.infer(asked)
    (offer,) = kept(runtime, state)
    assert (offer.reason, offer.score) == ("out-of-range", 1 / COLUMNS)


def test_of_inputs_that_nothing_speaks_against_a_few_are_kept(
    runtime: Runtime, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "RANDOM_EVERY", 4)
    for index in range(9):
        runtime.infer(row(0.9 + index / 1000))
        while runtime._boot.capture and not runtime._boot.capture._waiting.empty():
            pass
    assert [offer.reason for offer in kept(runtime, state)] == ["random"] * 3


def test_equal_inputs_are_kept_once(runtime: Runtime, state: Path) -> None:
    for _ in range(3):
        runtime.infer(row(0.02))
    assert len(kept(runtime, state)) == 1


def test_callers_may_reuse_their_buffers(runtime: Runtime, state: Path) -> None:
    asked = row(0.02)
    runtime.infer(asked)
    asked["x"][:] = 0.5
    assert kept(runtime, state)[0].score == pytest.approx(0.02)


def test_the_oldest_go_when_there_is_no_room(
    runtime: Runtime, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "MAX_SAMPLES", 3)
    for index in range(6):
        runtime.infer(row(0.02, 0.01 + index / 1000))
        while runtime._boot.capture and not runtime._boot.capture._waiting.empty():
            pass
    offers = kept(runtime, state)
    assert [offer.id.rsplit("/", 1)[1] for offer in offers] == ["3", "4", "5"]
    assert len(list((state / "samples").iterdir())) == 6


def test_large_inputs_are_let_go(
    runtime: Runtime, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "MAX_SAMPLE_BYTES", 31)
    runtime.infer(row(0.02))
    assert kept(runtime, state) == []


def test_disk_that_cannot_be_written_costs_no_caller_anything(
    runtime: Runtime, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (state / "samples").write_text("not a directory")
    runtime.infer(row(0.02))
    report = runtime.take_report()
    assert report is not None
    assert (report.counts.answered, report.counts.broken) == (1, 0)
    runtime.close()
    assert "an input was not kept" in caplog.text


def test_what_a_killed_process_left_half_written_is_swept_up(
    engine: MatrixEngine, state: Path, tmp_path: Path
) -> None:
    del engine
    (state / "samples").mkdir()
    (state / "samples" / ".0.npz.1a2b").write_bytes(b"half")
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True, state_dir=state) as runtime:
        assert kept(runtime, state) == []
    assert list((state / "samples").iterdir()) == []


def test_nothing_is_kept_on_a_device_that_is_not_enrolled(
    engine: MatrixEngine, state: Path, tmp_path: Path
) -> None:
    del engine
    (state / "owner.json").unlink()
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True, state_dir=state) as runtime:
        runtime.infer(row(0.02))
    assert not (state / "samples").exists()
