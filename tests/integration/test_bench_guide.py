# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/guides/measuring.md work, in the order in which they are told."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from insight_edge.bench.results import read_results
from insight_edge.bench.scenarios.scenario import Name
from tests.fakes.engine_bundles import onnx_artifact, weights_of, write_engine_bundle

pytest.importorskip("onnxruntime")

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "measuring.md"


def commands() -> str:
    found = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return "".join(found)


def test_every_command_of_the_guide_works(tmp_path: Path) -> None:
    weights = weights_of(0, 300, 300)
    write_engine_bundle(tmp_path / "bundle", "onnxruntime", onnx_artifact(weights), weights)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", commands()],
        cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert len(read_results(tmp_path / "results.jsonl")) == 2


def test_guide_tells_every_scenario() -> None:
    told = set(re.findall(r"--scenario (\S+)", commands())) | {"single-stream"}
    assert told == set(get_args(Name))
