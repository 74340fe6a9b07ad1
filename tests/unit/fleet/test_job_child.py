# SPDX-License-Identifier: Apache-2.0
"""A job's program disturbs least, is bounded, and leaves nothing of itself behind."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from insight_edge.errors import StoppedError
from insight_edge.fleet.jobs.child import Ended, run_child
from tests.fakes.broker import until

FOREVER = "import threading; threading.Event().wait()"


def run(place: Path, code: str, *, limit_s: float = 60.0, **options: object) -> Ended:
    stop = options.get("stop", lambda: False)
    return run_child(
        [sys.executable, "-c", code],
        place,
        variables={"JOB": "1"},
        limit_s=limit_s,
        stop=stop,  # type: ignore[arg-type]
    )


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_it_runs_where_it_is_told_at_the_lowest_priority_and_is_the_first_to_be_ended(
    tmp_path: Path,
) -> None:
    code = (
        "import os, resource, pathlib\n"
        "said = [os.getpriority(os.PRIO_PROCESS, 0), os.environ['JOB'], os.getsid(0) == os.getpid()"
        ", pathlib.Path('/proc/self/oom_score_adj').read_text().strip()"
        ", resource.getrlimit(resource.RLIMIT_CORE)[0]]\n"
        "pathlib.Path('said').write_text(' '.join(map(str, said)))\n"
    )
    assert run(tmp_path, code) == Ended(code=0, error="", late=False)
    assert (tmp_path / "said").read_text() == "19 1 True 1000 0"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("import sys; sys.exit('error: a\\nerror: b\\nhint: c')", 1, "b"),
        ("import sys; print('error: out'); sys.exit('terror: a')", 1, ""),
        ("import sys; sys.stderr.write('x\\n' * 10**6 + 'error: late'); sys.exit(2)", 2, "late"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import os; os.close(2); os._exit(4)", 4, ""),
    ],
)
def test_how_it_ended_and_what_it_said_last(
    tmp_path: Path, code: str, status: int, error: str
) -> None:
    assert run(tmp_path, code) == Ended(code=status, error=error, late=False)


def test_a_program_that_is_not_there_is_an_error_of_one_line(tmp_path: Path) -> None:
    found = run_child(["/no/such"], tmp_path, variables={}, limit_s=60, stop=lambda: False)
    assert (found.code, found.error) == (127, "/no/such: no such file or directory")


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, threading, pathlib\n"
        f"child = subprocess.Popen([sys.executable, '-c', {FOREVER!r}], start_new_session=True)\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
        "threading.Event().wait()\n"
    )
    found = run(tmp_path, code, limit_s=2.0)
    assert (found.code, found.late) == (-9, True)
    until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_what_is_left_of_its_group_when_it_ended_by_itself_is_ended_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, pathlib\n"
        f"child = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
    )
    assert run(tmp_path, code).code == 0
    until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_one_that_nobody_wants_any_more_is_ended(tmp_path: Path) -> None:
    stop = threading.Event()
    code = f"import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid())); {FOREVER}"

    def wanted() -> bool:
        if (tmp_path / "pid").exists():
            stop.set()
        return stop.is_set()

    with pytest.raises(StoppedError):
        run(tmp_path, code, stop=wanted)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_it_dies_with_the_agent_that_started_it(tmp_path: Path) -> None:
    code = f"import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid())); {FOREVER}"
    agent = (
        "import pathlib, sys\n"
        "from insight_edge.fleet.jobs.child import run_child\n"
        f"run_child([sys.executable, '-c', {code!r}], pathlib.Path({str(tmp_path)!r}),"
        " variables={}, limit_s=600, stop=lambda: False)\n"
    )
    with subprocess.Popen([sys.executable, "-c", agent], env=os.environ) as parent:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        parent.kill()
    until(lambda: is_gone(int((tmp_path / "pid").read_text())))
