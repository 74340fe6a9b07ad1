# SPDX-License-Identifier: Apache-2.0
"""A stock `tritonclient[http]`, as its makers ship it, asks the server: JSON and bytes."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.errors import ToolchainMissingError
from tests.fakes.served import Served, write_served_bundle

SCRIPT = Path(__file__).parents[1] / "fakes" / "stock_client.py"
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return environment_python("toolchain-tritonclient")
    except ToolchainMissingError as error:
        pytest.skip(f"{error}; {error.hint}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("stock") / "3"
    write_served_bundle(place, 3)
    with Served(place, "--port", "0", "--threads", "1") as served:
        yield served


@pytest.mark.parametrize(
    "what",
    ["told", "json", "binary", "mixed", "compressed", "many at once", "refused", "statistics"],
)
def test_stock_client_is_content(python: Path, server: Served, what: str) -> None:
    address = server.address.removeprefix("http://")
    done = subprocess.run(
        [python, SCRIPT, address, what],
        capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "content\n"), done.stderr
