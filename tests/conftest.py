# SPDX-License-Identifier: Apache-2.0
"""What several suites share, made once for all workers because it takes seconds to make."""

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import msgspec
import pytest

from insight_edge.compile.profiles.reading import read_profile
from insight_edge.compile.profiles.writing import write_profile
from tests.fakes.programs import insight_cloud, insight_edge

# How long an example takes says nothing on a machine that does other things too.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell that starts the tests in the background lets all that they start ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

QUICK = ("onnxruntime", "openvino")

EXAMPLE = Path(__file__).parents[1] / "examples" / "train.toml"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run what takes minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes minutes: make conformance, make faults (pytest --long)")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of this session that all its workers have."""
    own = tmp_path_factory.getbasetemp()
    place = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "common"
    place.mkdir(exist_ok=True)
    return place


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder that one worker fills, while others that want it wait."""
    folder.mkdir(exist_ok=True)
    whole = folder.with_suffix(".whole")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            make(folder)
            whole.touch()
    return folder


@pytest.fixture(scope="session")
def trained(common: Path) -> Path:
    """Return the export of a training beside its `state`: the example's, of a smaller network."""

    def train(folder: Path) -> None:
        # Of this seed the demo's shift takes half of the answers, which few labels show.
        smaller = ("network.height=16", "network.width=16", "network.channels=[12,24]",
                   "network.hidden=48", "fitting.epochs=8", "fitting.seed=1",
                   "resources.threads=1")  # fmt: skip
        words = [word for key in smaller for word in ("--set", key)]
        place = ("--state", "state", "--export", "export")
        done = insight_cloud("train", str(EXAMPLE), *words, *place, cwd=folder)
        assert done.returncode == 0, done.stderr

    return made_once(common / "trained", train) / "export"


@pytest.fixture(scope="session")
def builds(common: Path) -> Path:
    """Return a cache of builds, for tests that build the same and are not about building."""
    place = common / "builds"
    place.mkdir(exist_ok=True)
    return place


@pytest.fixture(scope="session")
def here(common: Path) -> Path:
    """Return the hardware profile of this very machine, with the engines that build in seconds."""

    def detect(folder: Path) -> None:
        words = ("profiles", "detect", "--id", "here", "-o", "here.toml")
        done = insight_edge(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
        detected = read_profile(folder / "here.toml")
        engines = {token: detected.engines[token] for token in QUICK if token in detected.engines}
        quick = msgspec.structs.replace(detected, engines=engines)
        (folder / "here.toml").write_text(write_profile(quick))

    return made_once(common / "here", detect) / "here.toml"
