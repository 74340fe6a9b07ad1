# SPDX-License-Identifier: Apache-2.0
"""What a process keeps of each swap is seen, and what it took at first is not."""

import msgspec
import pytest

from benchmarks.child import BAR, SWAPS, _growth
from benchmarks.figure import Figure, Verdict

MB = 1_000_000


@pytest.mark.parametrize(
    ("kept_bytes", "verdict"), [(0, "WITHIN"), (500, "WITHIN"), (2_000, "OVER"), (20_000, "OVER")]
)
def test_growth_is_judged_once_memory_has_come_to_rest(kept_bytes: int, verdict: Verdict) -> None:
    looks = [
        80 * MB + min(index, 20) * MB + kept_bytes * index + index % 3 * 4096
        for index in range(SWAPS)
    ]
    figure = _growth(looks, "in a child", BAR)
    assert figure.verdict == verdict
    assert msgspec.json.decode(msgspec.json.encode(figure), type=Figure) == figure
