# SPDX-License-Identifier: Apache-2.0
"""Several processes on one database file and one blob folder."""

import subprocess
import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import open_database
from insight_cloud.registry.service import Registry

PROCESSES = 4
EACH = 8

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from insight_cloud.platform.blobs import open_blobs
from insight_cloud.platform.database import open_database
from insight_cloud.platform.migration import ensure_current
from insight_cloud.registry.service import Registry

state, name, each = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
database = open_database(state / "cloud.sqlite")
ensure_current(database)
registry = Registry(database, open_blobs(state / "blobs"))
for turn in range(each):
    artifacts = {"model.onnx": f"{name} {turn}".encode(), "shared": str(turn).encode()}
    version = registry.register(
        "digits", task="t", artifacts=artifacts, metrics={}, by="Ada", now=datetime.now(UTC)
    )
    registry.assign_alias("digits", "newest", version.number, by="Ada", now=datetime.now(UTC))
    print(version.number, flush=True)
"""


def start(state: Path, name: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(state), name, str(EACH)]
    child = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_processes_that_register_at_once_get_consecutive_numbers(tmp_path: Path) -> None:
    children = [start(tmp_path, str(index)) for index in range(PROCESSES)]
    for child in children:  # none has opened the database yet: they make it at once, too
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    numbers: list[list[int]] = []
    for child in children:
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
        numbers.append([int(line) for line in out.split()])
    assert sorted(chain.from_iterable(numbers)) == list(range(1, PROCESSES * EACH + 1))
    assert all(mine == sorted(mine) for mine in numbers)

    database = open_database(tmp_path / "cloud.sqlite")
    registry = Registry(database, open_blobs(tmp_path / "blobs"))
    versions = registry.versions("digits")
    for version in versions:
        for artifact in version.artifacts:
            assert registry.artifact(version, artifact.name)
    assert len({version.digest for version in versions}) == PROCESSES * EACH
    assert 1 <= registry.aliases("digits")["newest"] <= PROCESSES * EACH
    database.close()


def test_a_process_killed_in_a_write_leaves_nothing_of_it(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from insight_cloud.platform.database import open_database
from insight_cloud.platform.migration import ensure_current

database = open_database(Path(sys.argv[1]))
ensure_current(database)
with database.write() as session:
    session.connection().exec_driver_sql(
        "INSERT INTO registry_model VALUES ('default', 'half', 't', '2026-01-01')"
    )
    os.kill(os.getpid(), signal.SIGKILL)
"""
    file = tmp_path / "cloud.sqlite"
    child = subprocess.run([sys.executable, "-c", script, str(file)], check=False, timeout=60)
    assert child.returncode == -9
    database = open_database(file)
    registry = Registry(database, open_blobs(tmp_path / "blobs"))
    version = registry.register(
        "half",
        task="other",
        artifacts={"model.onnx": b"x"},
        metrics={},
        by="Ada",
        now=datetime.now(UTC),
    )
    assert version.number == 1
    database.close()
