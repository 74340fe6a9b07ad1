# SPDX-License-Identifier: Apache-2.0
"""Workers that are killed at a commit, or work at once: each segment is judged once."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from insight_cloud.accounts.audit import Trail, listed
from insight_cloud.monitoring.alarm import Alarm, WindowAssessment
from insight_cloud.platform.database import open_database
from insight_cloud.platform.schema import TENANT
from tests.fakes.migrated import migrated_database
from tests.fakes.monitor import allow, start_monitor
from tests.fakes.monitored import SHIFT, monitored

SHIFTS = (0.0, SHIFT, SHIFT, 0.0, 0.0, 0.0, SHIFT, 0.0, SHIFT)

Written = tuple[list[WindowAssessment], list[Alarm], int]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder where windows wait to be judged; the bundle's digest is in `bundle`."""
    folder = tmp_path_factory.mktemp("monitored")
    database = migrated_database(folder / "cloud.sqlite")
    world = monitored(database, folder)
    bundle = world.publish()
    world.send(bundle, *SHIFTS)
    (folder / "bundle").write_text(bundle)
    database.close()
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "copy")


def finished(folder: Path) -> Written:
    """Judge what is left and return what is written down, but for when."""
    database = open_database(folder / "cloud.sqlite")
    world = monitored(database, folder)
    world.judge()
    bundle, at = (folder / "bundle").read_text(), world.now
    windows = [replace(one, assessed=at) for one in world.monitoring.assessments(bundle)]
    alarms = [replace(one, opened=at) for one in world.monitoring.alarms(is_open=None)]
    with database.read() as session:
        audits = len(listed(session, TENANT, Trail(action="alarm"), after=None, limit=50))
    database.close()
    return windows, alarms, audits


@pytest.fixture(scope="module")
def expected(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    copy = tmp_path_factory.mktemp("undisturbed") / "copy"
    windows, alarms, audits = finished(shutil.copytree(template, copy))
    assert [one.number for one in windows] == list(range(len(SHIFTS), 0, -1))
    assert [(one.first, one.segment, one.last) for one in alarms] == [(7, 9, None), (2, 3, 6)]
    assert audits == 3
    return windows, alarms, audits


@pytest.mark.parametrize("stops", [1, 2, 3, 4, 7, 8, 13, 14, 20])
def test_a_killed_worker_judges_nothing_twice(folder: Path, expected: Written, stops: int) -> None:
    child = start_monitor(folder, "gated")
    allow(child, stops)
    child.kill()
    child.communicate()
    assert child.returncode == -9
    assert finished(folder) == expected


def test_workers_at_once_judge_each_segment_once(folder: Path, expected: Written) -> None:
    children = [start_monitor(folder, "free") for _ in range(3)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
    assert finished(folder) == expected
