# SPDX-License-Identifier: Apache-2.0
"""Durable functions in one process; how they survive a kill is in the integration suite."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from insight_cloud.platform import workflows
from insight_cloud.platform.workflows import BusyError, Json, Progress, Seen, Step, Stopped, hosted
from insight_edge.errors import StorageError

DEADLINE_S = 20.0


def ended(seen: Callable[[], Seen | None]) -> Seen:
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.05)):
        found = seen()
        if found is not None and found.progress is not Progress.RUNNING:
            return found
        pause.wait(0.05)
    raise TimeoutError(f"it goes on: {seen()}")


def test_finished_steps_are_not_done_again_and_give_what_they_gave(tmp_path: Path) -> None:
    did: list[str] = []
    results: list[Json] = []
    stop, is_there = threading.Event(), threading.Event()

    def first() -> Json:
        did.append("first")
        return {"rows": [1, 2.5, None], "name": "é"}

    def second() -> Json:
        did.append("second")
        is_there.set()
        if len(did) == 2:
            stop.wait(DEADLINE_S)
            raise Stopped
        return "done"

    def body(workflow: str, step: Step) -> Json:
        results.append([workflow, step("first", first), step("second", second)])
        return None

    with hosted(tmp_path / "w.sqlite", body, stop) as hosting:
        hosting.start("run-1")
        hosting.start("run-1")
        assert is_there.wait(DEADLINE_S)
        seen = hosting.seen("run-1")
        assert seen == Seen(id="run-1", progress=Progress.RUNNING, steps=("first",))
        assert hosting.seen("run-2") is None
    assert results == []
    with hosted(tmp_path / "w.sqlite", body, threading.Event()) as hosting:
        found = ended(lambda: hosting.seen("run-1"))
    assert found.progress is Progress.DONE
    assert found.steps == ("first", "second")
    assert did == ["first", "second", "second"]
    assert results == [["run-1", {"rows": [1, 2.5, None], "name": "é"}, "done"]]


def test_a_mistake_in_a_step_is_a_failed_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows, "QUIET", "CRITICAL")

    def body(_: str, step: Step) -> Json:
        return step("one", lambda: 1 // 0)

    with hosted(tmp_path / "w.sqlite", body, threading.Event()) as hosting:
        hosting.start("run-1")
        assert ended(lambda: hosting.seen("run-1")).progress is Progress.FAILED


def test_what_an_older_release_began_is_stranded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, is_there = threading.Event(), threading.Event()

    def body(_: str, step: Step) -> Json:
        def wait() -> Json:
            is_there.set()
            stop.wait(DEADLINE_S)
            raise Stopped

        return step("wait", wait)

    with hosted(tmp_path / "w.sqlite", body, stop) as hosting:
        hosting.start("run-1")
        assert is_there.wait(DEADLINE_S)
    is_there.clear()
    monkeypatch.setattr(workflows, "VERSION", "of another release")
    monkeypatch.setattr(workflows, "QUIET", "CRITICAL")
    with hosted(tmp_path / "w.sqlite", body, threading.Event()) as hosting:
        seen = hosting.seen("run-1")
        assert seen is not None
        assert seen.progress is Progress.STRANDED
    assert not is_there.is_set()


def test_one_process_hosts_a_file_and_gives_it_back(tmp_path: Path) -> None:
    def body(_: str, step: Step) -> Json:
        return step("one", lambda: 1)

    with (
        hosted(tmp_path / "w.sqlite", body, threading.Event()),
        pytest.raises(BusyError),
        hosted(tmp_path / "w.sqlite", body, threading.Event()),
    ):
        raise AssertionError("two hosts")
    with hosted(tmp_path / "w.sqlite", body, threading.Event()) as hosting:
        hosting.start("run-1")
        assert ended(lambda: hosting.seen("run-1")).progress is Progress.DONE


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(StorageError),
        hosted(tmp_path / "file" / "w.sqlite", lambda *_: None, threading.Event()),
    ):
        raise AssertionError("hosted")


def test_the_engine_is_loaded_when_it_is_opened_and_not_before() -> None:
    code = (
        "import sys, insight_cloud.installation, insight_cloud.worker.pipelining\n"
        "import insight_cloud.platform.workflows\n"
        "print('dbos' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
