# SPDX-License-Identifier: Apache-2.0
"""The loop in miniature while its processes are killed, each at a seeded moment.

One device, a small network that was trained before, the ordinary programs: the
world changes, the alarm fires, people label, the model is retrained, compiled,
rolled out and promoted, and what the cloud counted is what the application asked,
whichever process died. In the end all of it is left running, and goes on asking.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINIATURE = """
import sys
from pathlib import Path
from insight_cloud.cli.screen import complain
from insight_cloud.demo.pace import Pace
from insight_cloud.demo.story import Options, tell_story
from insight_edge.errors import InsightEdgeError

pace = Pace(callers=4, rate_hz=20.0, probation_s=2.0, soak_s=1.0, begins_s=0.0, look_s=0.0,
            quiet_s=4.0, after_s=6.0)
try:
    tell_story(Options(folder=Path(sys.argv[1]), train_toml=Path(sys.argv[2]), seed=3, devices=1,
                       trained=Path(sys.argv[3]), targets=("onnxruntime:fp32",), labels=190,
                       pace=pace, kill_each_s=3.0, kill_rounds=1, stay=True))
except InsightEdgeError as error:
    complain(str(error), error.hint)
    sys.exit(error.exit_code)
"""


@pytest.mark.slow
def test_loop_closes_whichever_process_is_killed(tmp_path: Path, trained: Path) -> None:
    folder = tmp_path / "demo"
    places = (folder, ROOT / "examples" / "train.toml", trained.parent)
    try:
        done = subprocess.run(
            [sys.executable, "-c", MINIATURE, *map(str, places)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-8000:]
        assert "BROKEN" not in done.stdout
        killed = next(line for line in done.stdout.splitlines() if line.startswith("kill -9: "))
        assert killed == "kill -9: agent 1, api 1, application 1, broker 1, ingester 1, worker 1"
        await_more_answers(folder)
    finally:
        end_all(folder)


def await_more_answers(folder: Path) -> None:
    """Wait until the application has written more down than now: the story has ended."""
    files = [each for each in folder.glob("gate-north.calls.*") if each.suffix != ".asked"]
    before, deadline_s = sum(each.stat().st_size for each in files), time.monotonic() + 30.0
    while sum(each.stat().st_size for each in files) <= before:
        assert time.monotonic() < deadline_s, "the application asks no more"
        time.sleep(0.1)


def end_all(folder: Path) -> None:
    """Kill what was left running, as `pkill -f` does."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (place / "cmdline").read_bytes():
                os.kill(int(place.name), signal.SIGKILL)
