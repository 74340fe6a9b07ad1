# SPDX-License-Identifier: Apache-2.0
"""What the guide of serving tells people to do works, in the order told."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import ToolchainMissingError
from tests.fakes.served import Served, write_served_bundle

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "serving.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve what the guide says, but on a port that is free; return it."""
    place = tmp_path_factory.mktemp("guide")
    write_served_bundle(place / "model.bundle", 3)
    [line] = blocks("sh server")
    words = shlex.split(line.replace("8000", "0"))
    assert words[:2] == ["insight-edge", "serve"]
    words[2] = str(place / words[2])
    with Served(*words[2:]) as served:
        yield served.address.rpartition(":")[2]


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_work(port: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    told = [run("bash", "-euc", block.replace("8000", port)) for block in blocks("sh")]
    assert '"data":[3.0,3.0,3.0,3.0]' in told[0]
    metrics = set(re.findall(r"^# TYPE (\w+)", told[1], re.MULTILINE))
    named = re.findall(r"^\| (`[^|]*`) \|", GUIDE, re.MULTILINE)
    named = [name for cell in named for name in re.findall(r"`(\w+)`", cell)]
    prefix = "insight_edge_serve"
    assert metrics == {name if name.startswith(prefix) else prefix + name for name in named}


def test_standard_library_is_enough(port: str) -> None:
    [block] = blocks("python")
    assert "[3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]" in run(
        sys.executable, "-I", "-c", block.replace("8000", port)
    )


def test_stock_client_works(port: str) -> None:
    try:
        python = environment_python("toolchain-tritonclient")
    except ToolchainMissingError as error:
        pytest.skip(f"{error}; {error.hint}")
    [block] = blocks("python tritonclient")
    assert run(python, "-c", block.replace("8000", port)).count("3.") == 8
