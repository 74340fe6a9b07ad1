# SPDX-License-Identifier: Apache-2.0
import pytest

from insight_edge.bench.scenarios.scenario import SINGLE_STREAM, Scenario


@pytest.mark.parametrize(
    ("scenario", "start"),
    [
        (SINGLE_STREAM, "one inference of the engine's session"),
        (Scenario(rows=3), "one inference of 3 rows of the engine's session"),
        (Scenario(name="offline", rows=32), "32 rows, in one inference where the batch is free"),
        (
            Scenario(name="server", rate_per_s=5.0, waiting=9),
            "from when a query is due to its answer by one inference of the engine's session",
        ),
    ],
)
def test_region_says_what_the_clock_stands_around(scenario: Scenario, start: str) -> None:
    assert scenario.region.startswith(start)
