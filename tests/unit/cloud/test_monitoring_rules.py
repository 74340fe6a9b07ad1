# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.monitoring.rules import JUDGED, MAX_VOTES, Change, Policy, accuracy_text, change
from insight_edge.stats.assess import Verdict

STEADY, DRIFTED = Verdict.STEADY, Verdict.DRIFTED
histories = st.lists(st.sampled_from(JUDGED), max_size=30)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    windows = draw(st.integers(1, MAX_VOTES))
    votes = draw(st.integers(1, windows))
    return Policy(windows=windows, votes=votes, steady=draw(st.integers(1, MAX_VOTES)))


@given(histories, policies())
def test_an_alarm_opens_at_a_drifted_window_with_enough_votes_among_the_last(
    verdicts: list[Verdict], policy: Policy
) -> None:
    last = verdicts[-policy.windows :]
    opens = last.count(DRIFTED) >= policy.votes and last[-1] is DRIFTED
    assert change(verdicts, policy, is_open=False) is (Change.OPEN if opens else None)


@given(histories, policies())
def test_an_alarm_closes_after_so_many_steady_windows_in_a_row(
    verdicts: list[Verdict], policy: Policy
) -> None:
    calm = len(verdicts) >= policy.steady and DRIFTED not in verdicts[-policy.steady :]
    assert change(verdicts, policy, is_open=True) is (Change.CLOSE if calm else None)


def test_no_window_changes_nothing() -> None:
    assert change([], Policy(), is_open=True) is None
    assert change([], Policy(), is_open=False) is None


def test_accuracy_is_said_with_its_interval_and_what_it_was() -> None:
    assert accuracy_text(0, 0, 0.978, "12:00 UTC") == ""
    assert accuracy_text(1, 1, None, "12:00 UTC") == (
        "accuracy on 1 outcome since 12:00 UTC 100 % [21, 100]"
    )
    assert accuracy_text(212, 150, 0.978, "12:00 UTC") == (
        "accuracy on 212 outcomes since 12:00 UTC 71 % [64, 76], was 97.8 % at evaluation"
    )
