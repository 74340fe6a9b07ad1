# SPDX-License-Identifier: Apache-2.0
"""What several suites share, made once a session because it takes seconds to make."""

from pathlib import Path

import hypothesis
import pytest

from tests.fakes.programs import insight_cloud, insight_edge

# How long an example takes says nothing on a machine that does other things too.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

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
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the export of a training: the example's, of fewer epochs and a smaller dense layer."""
    folder = tmp_path_factory.mktemp("trained")
    smaller = ("--set", "fitting.epochs=3", "--set", "network.hidden=48")
    done = insight_cloud("train", str(EXAMPLE), *smaller, "--export", "export", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "export"


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of builds, for tests that build the same and are not about building."""
    return tmp_path_factory.mktemp("builds")


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the hardware profile of this very machine."""
    folder = tmp_path_factory.mktemp("here")
    done = insight_edge("profiles", "detect", "--id", "here", "-o", "here.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "here.toml"
