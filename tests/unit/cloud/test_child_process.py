# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from insight_cloud.platform.child_process import (
    MAX_LOG_LINES,
    MAX_OUTPUT_BYTES,
    Finished,
    run_child,
)
from insight_cloud.platform.lifeline import NOT_FOUND

DEADLINE_S = 20.0


def python(code: str, folder: Path, **options: object) -> Finished:
    command = [sys.executable, "-c", code]
    return run_child(command, cwd=folder, **{"timeout_s": DEADLINE_S} | options)  # type: ignore[arg-type]


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_gone(pid: int) -> None:
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.02)):
        if not is_there(pid):
            return
        pause.wait(0.02)
    raise TimeoutError(f"process {pid} is still there")


def test_a_child_is_told_and_heard(tmp_path: Path) -> None:
    code = (
        "import os, sys; print(sys.stdin.read(), os.environ['PLACE'], os.getcwd());"
        "sys.stderr.write('one\\n\\ntwo\\n'); sys.exit(3)"
    )
    done = python(code, tmp_path, stdin=b"hello", environment={"PLACE": "here"})
    assert done == Finished(
        code=3, output=f"hello here {tmp_path}\n".encode(), log=("one", "two"), over_time=False
    )


def test_what_is_kept_of_a_talkative_child_is_bounded(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.stdout.write('x' * {MAX_OUTPUT_BYTES + 1000});"
        "[sys.stderr.write(f'{i}\\n') for i in range(10000)]; sys.stderr.write('y' * 5000)"
    )
    done = python(code, tmp_path)
    assert len(done.output) == MAX_OUTPUT_BYTES
    assert len(done.log) == MAX_LOG_LINES
    assert {len(line) for line in done.log[-5:]} == {1000}


def test_a_child_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    done = python("import time; time.sleep(60)", tmp_path, timeout_s=0.3)
    assert (done.over_time, done.code) == (True, -signal.SIGKILL)


def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    done = run_child(["no-such-program"], cwd=tmp_path, timeout_s=DEADLINE_S)
    assert (done.code, done.log) == (NOT_FOUND, ("no-such-program: no such file or directory",))


def test_whoever_waits_may_give_up_and_the_whole_group_ends(tmp_path: Path) -> None:
    def give_up() -> None:
        if (tmp_path / "inner").exists() and (tmp_path / "inner").read_text().endswith("\n"):
            raise KeyError

    with pytest.raises(KeyError):
        run_child(
            ["sh", "-c", "sleep 60 & echo $! > inner; wait"],
            cwd=tmp_path,
            timeout_s=DEADLINE_S,
            pulse=give_up,
        )
    until_gone(int((tmp_path / "inner").read_text()))


def test_a_child_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from insight_cloud.platform.child_process import run_child\n"
        "command = ['sh', '-c', 'echo $$ > pid; exec sleep 60']\n"
        f"run_child(command, cwd=Path({str(tmp_path)!r}), timeout_s=60)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        deadline_s = time.monotonic() + DEADLINE_S
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert time.monotonic() < deadline_s
        child = int((tmp_path / "pid").read_text())
        assert is_there(child)
        os.kill(parent.pid, signal.SIGKILL)
    until_gone(child)
