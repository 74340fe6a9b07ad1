# SPDX-License-Identifier: Apache-2.0
"""Whoever writes the prediction log is killed between any two files; no result is in two."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from insight_cloud.telemetry.service import Telemetry
from tests.fakes.migrated import migrated_database
from tests.fakes.telemetry import NOW, NOW_S, find_bundle, message, predictions

ROOT = Path(__file__).parents[2]
DAYS = 30
PATIENCE_S = 60.0


def written(log: Path) -> list[Path]:
    return sorted(log.rglob("*.parquet"))


@pytest.mark.parametrize("files", [1, 11])
def test_a_killed_writer_of_the_log_loses_and_doubles_nothing(tmp_path: Path, files: int) -> None:
    log, path = tmp_path / "log", tmp_path / "cloud.sqlite"
    database = migrated_database(path)
    telemetry = Telemetry(database, find_bundle, log)
    times = tuple(NOW_S - number % DAYS * 86_400 for number in range(10 * DAYS))
    results = predictions(tuple(range(10 * DAYS)), at_s=times)
    telemetry.ingest([message(results)], NOW)

    child = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.flusher", str(path), str(log)], cwd=ROOT
    )
    deadline_s = time.monotonic() + PATIENCE_S
    while len(written(log)) < files and time.monotonic() < deadline_s:
        assert child.poll() is None, "it was through before it could be killed"
    child.kill()
    assert child.wait() == -9

    telemetry.ingest([message(predictions((10_000,)))], NOW)
    telemetry.flush(NOW)
    assert telemetry.flush(NOW) == ()
    logged = [row["id"] for file in written(log) for row in parquet.read_table(file).to_pylist()]
    assert len(logged) == len(set(logged)) == 10 * DAYS + 1
    assert {file.parent.name for file in written(log)} >= {"day=2026-11-21", "day=2026-10-23"}
    database.close()
