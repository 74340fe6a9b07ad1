# SPDX-License-Identifier: Apache-2.0
from insight_edge.bench.doubt import Doubt, settled


def test_gravest_doubt_makes_the_verdict_and_all_of_its_kind_the_reasons() -> None:
    doubts = [Doubt("NOISY", "a"), Doubt("INVALID", "b"), Doubt("THROTTLED", "c")]
    assert settled(doubts) == ("INVALID", ("b",))
    assert settled([*doubts[::2], Doubt("THROTTLED", "d")]) == ("THROTTLED", ("c", "d"))
    assert settled(doubts[:1]) == ("NOISY", ("a",))
    assert settled([]) == ("VALID", ())
