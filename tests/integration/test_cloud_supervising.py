# SPDX-License-Identifier: Apache-2.0
"""Children of a supervisor: started again when they end, and gone when it is."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from insight_cloud.platform import supervising
from insight_cloud.platform.supervising import Program, supervise

DEADLINE_S = 20
ROOT = Path(__file__).parents[2]


def program(folder: Path, body: str) -> Program:
    """Return a program that writes its number to a FIFO, and then does something."""
    name = f"child_{len(list(folder.iterdir()))}"
    (folder / f"{name}.py").write_text(
        "import json, os, sys\n"
        "from insight_cloud.platform.child import setup_from_stdin\n"
        "told = open(setup_from_stdin(str), 'w')\n"
        "told.write(f'{os.getpid()}\\n'); told.flush()\n"
        f"{body}\n"
    )
    fifo = folder / f"{name}.fifo"
    os.mkfifo(fifo)
    return Program(name=name, module=name, setup=f'"{fifo}"'.encode())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}:{ROOT / 'cloud'}")
    monkeypatch.setattr(supervising, "FIRST_PAUSE_S", 0.01)
    return tmp_path


def told_of(program: Program) -> Callable[[], int]:
    """Return what waits for the next number that the program tells."""
    fifo = os.open(program.setup.decode().strip('"'), os.O_RDWR | os.O_NONBLOCK)
    heard = bytearray()

    def next_pid() -> int:
        while b"\n" not in heard:
            assert select.select([fifo], [], [], DEADLINE_S)[0], "nothing was told"
            heard.extend(os.read(fifo, 4096))
        line, _, rest = bytes(heard).partition(b"\n")
        heard[:] = rest
        return int(line)

    return next_pid


def has_ended(pid: int) -> bool:
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], DEADLINE_S)[0])
    finally:
        os.close(watched)


def test_child_that_ends_or_is_killed_comes_again(folder: Path) -> None:
    short, long = program(folder, "pass"), program(folder, "import time; time.sleep(1000)")
    next_short, next_long = told_of(short), told_of(long)
    stop = threading.Event()
    thread = threading.Thread(target=supervise, args=([short, long], stop))
    thread.start()
    try:
        assert len({next_short() for _ in range(3)}) == 3
        first = next_long()
        os.kill(first, signal.SIGKILL)
        second = next_long()
        assert second != first
    finally:
        stop.set()
        thread.join()
    assert has_ended(second)


def test_child_that_does_not_want_to_end_is_made_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "END_S", 0.2)
    deaf = program(
        folder,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "told.write(f'{os.getpid()}\\n'); told.flush()\n"
        "time.sleep(1000)",
    )
    told = told_of(deaf)
    stop = threading.Event()
    thread = threading.Thread(target=supervise, args=([deaf], stop))
    thread.start()
    told()
    pid = told()
    stop.set()
    thread.join()
    assert has_ended(pid)


def test_no_child_outlives_a_supervisor_that_was_killed(folder: Path) -> None:
    long = program(folder, "import time; time.sleep(1000)")
    told = told_of(long)
    code = (
        "import threading; from insight_cloud.platform.supervising import Program, supervise\n"
        f"supervise([Program(name='x', module={long.module!r}, setup={long.setup!r})],"
        " threading.Event())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as supervisor:
        pid = told()
        supervisor.kill()
    assert has_ended(pid)
