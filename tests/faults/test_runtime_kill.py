# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of a host under load: what was counted is found again, and it adds up."""

import subprocess
import sys
from pathlib import Path

import pytest

from insight_edge.documents.report import Report
from insight_edge.runtime.infer import Runtime
from tests.fakes.loaded_host import FLUSHED
from tests.fakes.matrix import (
    COLUMNS,
    MatrixEngine,
    install,
    one_row,
    random_matrix,
    write_matrix_bundle,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MatrixEngine:
    return install(monkeypatch)


def kill_under_load(bundle: Path, state_dir: Path, *, thousands: int) -> int:
    """Kill a host after so many thousand calls, and return how many it had surely answered."""
    command = [sys.executable, "-m", "tests.fakes.loaded_host", str(bundle), str(state_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"flushed\n"
        for _ in range(thousands):
            assert child.stdout.readline() == b"1000\n"
        child.kill()
        return FLUSHED + 1000 * (thousands + len(child.stdout.readlines()))


def assert_adds_up(report: Report) -> None:
    counts, inputs, outputs = report.counts, report.inputs, report.outputs
    assert inputs is not None
    assert outputs is not None
    assert counts.asked >= counts.answered + counts.failed
    assert counts.answered >= counts.observed == inputs.count == outputs.count
    assert report.latency.count == counts.observed
    assert sum(report.latency.buckets.values()) == report.latency.count
    assert counts.flagged == inputs.missing[0] == inputs.count - FLUSHED
    for bins, missing in zip(inputs.bins, inputs.missing, strict=True):
        assert sum(bins) == inputs.count - missing
    assert len(inputs.names) == COLUMNS


@pytest.mark.parametrize("thousands", [0, 1, 4, 9, 16])
def test_killed_host_leaves_a_window_that_adds_up(
    engine: MatrixEngine, tmp_path: Path, thousands: int
) -> None:
    digest = write_matrix_bundle(tmp_path / "bundle", random_matrix(0))
    state_dir = tmp_path / "state"
    answered = kill_under_load(tmp_path / "bundle", state_dir, thousands=thousands)
    with Runtime.open(tmp_path / "bundle", allow_unsigned=True, state_dir=state_dir) as runtime:
        runtime.infer(one_row())
        report = runtime.take_report()
        own = runtime.take_report()
    assert report is not None
    assert (report.recovered, report.boot, report.sequence) == (True, 1, 0)
    assert report.bundle == digest
    assert_adds_up(report)
    assert report.counts.answered >= FLUSHED
    assert report.counts.observed <= report.counts.answered <= answered + 2000
    assert own is not None
    assert (own.recovered, own.boot, own.counts.asked) == (False, 2, 1)
    assert list(state_dir.glob("window-*")) == []
    assert engine.live == 0


def test_recovered_report_survives_another_crash_until_it_is_taken(
    engine: MatrixEngine, tmp_path: Path
) -> None:
    write_matrix_bundle(tmp_path / "bundle", random_matrix(0))
    for _ in range(2):
        kill_under_load(tmp_path / "bundle", tmp_path / "state", thousands=0)
    found = []
    with Runtime.open(
        tmp_path / "bundle", allow_unsigned=True, state_dir=tmp_path / "state"
    ) as runtime:
        while (report := runtime.take_report()) is not None:
            found.append((report.boot, report.recovered))
            assert_adds_up(report)
    assert found == [(1, True), (2, True)]
    assert engine.live == 0
