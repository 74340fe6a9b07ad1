# SPDX-License-Identifier: Apache-2.0
"""A build with the real compiler, and what becomes of one that it refuses."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from insight_cloud.builds.compiling import Compiler, Wishes
from insight_cloud.builds.rules import BuildState
from insight_cloud.builds.service import Builds
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.clock import now
from insight_cloud.platform.database import Database
from insight_cloud.registry.service import Registry
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.bundle.process_tree import process_tree
from tests.fakes.migrated import migrated_database
from tests.fakes.programs import insight_edge
from tests.fakes.sources import table_model, table_rows

pytestmark = pytest.mark.slow
DEADLINE_S = 20.0
POLL_S = 0.02


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = migrated_database(tmp_path / "cloud.sqlite")
    yield database
    database.close()


@pytest.fixture
def builds(tmp_path: Path, database: Database, here: Path) -> Builds:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.toml").write_text(_one_engine(here.read_text()))
    registry = Registry(database, open_blobs(tmp_path / "blobs"))
    rows = npz_from_arrays({"x": table_rows(200).astype(np.float32)})
    for model in (table_model().SerializeToString(), onnx.ModelProto().SerializeToString()):
        registry.register(
            "table",
            task="t",
            artifacts={"model.onnx": model or b"\0", "data.npz": rows},
            metrics={},
            by="Ada",
            now=now(),
        )
    return Builds(database, registry, Compiler(tmp_path / "builds"), tmp_path / "profiles")


def _one_engine(profile: str) -> str:
    """Return a profile without the engine that takes longer."""
    kept, _, rest = profile.partition("[engines.openvino]")
    return kept + rest[rest.find("\n[") + 1 :] if rest else profile


def test_the_real_compiler_makes_a_bundle_with_evidence(builds: Builds) -> None:
    targets = ("onnxruntime:fp32", "onnxruntime:int8")
    wishes = Wishes(max_drop_pp=5.0, rounds=5, targets=targets)
    done = builds.compile("table", 1, "here", clock=now, by="ada", wishes=wishes)
    assert (done.state, done.reason) == (BuildState.DONE, "")
    evidence = builds.bundle(done).evidence()
    assert [trial.target for trial in done.trials] == [t.target.token for t in evidence.trials]
    assert {trial.target for trial in done.trials if trial.status == "built"} == set(targets)
    [chosen] = [trial for trial in done.trials if trial.chosen]
    assert chosen.proof == "PROVEN"
    assert chosen.p50_ms is not None
    refused = builds.compile("table", 2, "here", clock=now, by="ada")
    assert (refused.state, refused.bundle) == (BuildState.FAILED, None)
    assert refused.reason.startswith("the compiler exited with 2: ")


def test_results_of_a_device_settle_a_build_with_contenders(builds: Builds, tmp_path: Path) -> None:
    wishes = Wishes(
        max_drop_pp=5.0, rounds=5, targets=("onnxruntime:fp32", "onnxruntime:int8"), contenders=True
    )
    done = builds.compile("table", 1, "here", clock=now, by="ada", wishes=wishes)
    results = tmp_path / "results.jsonl"
    timed = insight_edge(
        "bench", builds.bundle_path(done), "--variant", "all", "--no-strict", "--rounds", "6",
        "--threads", "1", "-o", results, "--device", "press-1", cwd=tmp_path,
    )  # fmt: skip
    assert timed.returncode == 0, timed.stderr
    settled = builds.settle(done, results.read_bytes(), clock=now)
    assert (settled.state, settled.reason, settled.attempt) == (BuildState.DONE, "", 2)
    assert settled.bundle != done.bundle
    assert builds.bundle(settled).evidence().measured_by == "press-1"
    assert builds.build_of(done.bundle or "") == done
    odd = builds.settle(done, b"{}\n", clock=now)
    assert (odd.state, odd.bundle) == (BuildState.FAILED, None)
    assert "results.jsonl, line 1: BenchResult" in odd.reason


def test_nothing_that_a_build_started_outlives_a_killed_worker(tmp_path: Path, here: Path) -> None:
    onnx.save(table_model(), tmp_path / "table.onnx")
    code = (
        "from pathlib import Path\n"
        "from insight_cloud.builds.compiling import Compiler, Order, Wishes\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "files = {'model.onnx': (folder / 'table.onnx').read_bytes()}\n"
        f"order = Order(files=files, profile={str(here)!r}, wishes=Wishes())\n"
        "Compiler(folder / 'builds').compile(order, pulse=lambda: None)"
    )
    pause = threading.Event()
    with subprocess.Popen([sys.executable, "-c", code]) as worker:
        started: tuple[int, ...] = ()
        while len(started) < 3:  # the worker, the compiler, and what it builds in
            assert worker.poll() is None
            started = process_tree(worker.pid)
            pause.wait(POLL_S)
        worker.kill()
    for _ in range(int(DEADLINE_S / POLL_S)):
        if not any(is_there(pid) for pid in started):
            return
        pause.wait(POLL_S)
    raise AssertionError(f"{[pid for pid in started if is_there(pid)]} are still there")


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
