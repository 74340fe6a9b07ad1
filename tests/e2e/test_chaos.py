# SPDX-License-Identifier: Apache-2.0
"""The loop in miniature while its processes are killed, each at a seeded moment.

One device, a small network, the ordinary programs: the world changes, the alarm
fires, people label, the model is retrained, compiled, rolled out and promoted, and
what the cloud counted is what the application asked, whichever process died.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINIATURE = """
import sys
from pathlib import Path
from insight_cloud.cli.screen import complain
from insight_cloud.demo.story import Options, tell_story
from insight_edge.errors import InsightEdgeError

small = ("network.height=16", "network.width=16", "network.channels=[12, 24]", "network.hidden=48",
         "fitting.epochs=8", "resources.threads=1")
try:
    tell_story(Options(folder=Path(sys.argv[1]), train_toml=Path(sys.argv[2]), seed=3, devices=1,
                       training=small, targets=("onnxruntime:fp32",), rate_hz=40.0,
                       labels=190, look_s=0.0, quiet_s=4.0, after_s=6.0,
                       kill_each_s=3.0, kill_rounds=1))
except InsightEdgeError as error:
    complain(str(error), error.hint)
    sys.exit(error.exit_code)
"""


@pytest.mark.slow
def test_loop_closes_whichever_process_is_killed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MINIATURE, str(tmp_path / "demo"), f"{ROOT}/examples/train.toml"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    assert "BROKEN" not in done.stdout
    killed = next(line for line in done.stdout.splitlines() if line.startswith("kill -9: "))
    assert killed == "kill -9: agent 1, api 1, application 1, broker 1, ingester 1, worker 1"
