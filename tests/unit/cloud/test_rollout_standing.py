# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.rollouts.rollout import MemberState
from insight_cloud.rollouts.standing import MAX_REASON, standing
from insight_cloud.worker.rolling import REST, Rolling
from insight_edge.documents.device import DeploymentState, Refusal, Reported
from tests.fakes.fleet_devices import BUNDLE, NOW, OTHER, state

ASKED, COMMITTED, FAILED = MemberState.ASKED, MemberState.COMMITTED, MemberState.FAILED


def refusal(
    kind: str = "SelfCheckError", bundle: str | None = BUNDLE, reason: str = "r"
) -> Refusal:
    return Refusal(kind=kind, reason=reason, phase="activating", bundle=bundle, at_s=1.0)


def reported(revision: int = 3, *, held: bool = False, **deployment: Any) -> Reported:
    deployments = {"camera-1": DeploymentState(**deployment)}
    return state(revision, held=held, deployments=deployments)


def stands(told: Reported | None, revision: int | None = 3) -> MemberState:
    return standing(told, "camera-1", BUNDLE, revision).state


OLD: dict[str, Any] = {"serving": OTHER, "committed": OTHER}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, ASKED),
        (state(3), ASKED),
        (reported(2, serving=BUNDLE, committed=BUNDLE), ASKED),
        (reported(serving=BUNDLE, committed=BUNDLE), COMMITTED),
        (reported(4, serving=BUNDLE, committed=BUNDLE), COMMITTED),
        (reported(committed=BUNDLE), COMMITTED),
        (reported(serving=OTHER, committed=BUNDLE), ASKED),
        (reported(serving=BUNDLE, committed=BUNDLE, target=OTHER, phase="fetching"), ASKED),
        (reported(serving=BUNDLE, committed=OTHER, target=BUNDLE, phase="probation"), ASKED),
        (reported(**OLD, refusal=refusal()), FAILED),
        (reported(2, **OLD, refusal=refusal()), ASKED),
        (reported(**OLD, refusal=refusal(bundle=OTHER)), ASKED),
        (reported(**OLD, refusal=refusal("ExpiredError")), ASKED),
        (reported(**OLD, refusal=refusal("DownloadError"), target=BUNDLE, phase="fetching"), ASKED),
        (reported(**OLD, restored_from=BUNDLE), FAILED),
        (reported(**OLD, restored_from=BUNDLE, target=BUNDLE, phase="staging"), ASKED),
        (reported(**OLD, restored_from=OTHER), ASKED),
        (reported(**OLD, refusal=refusal(), held=True), ASKED),
        (reported(committed=BUNDLE, refusal=refusal()), FAILED),
        (reported(serving=BUNDLE, committed=BUNDLE, refusal=refusal()), COMMITTED),
    ],
)
def test_what_a_device_says_tells_how_it_took_a_bundle(
    told: Reported | None, expected: MemberState
) -> None:
    assert stands(told) is expected
    assert stands(told, None) is ASKED


def test_a_reason_is_one_line_of_bounded_length() -> None:
    told = reported(**OLD, refusal=refusal(reason="a\x1b[1m\nb" + "x" * 900))
    note = standing(told, "camera-1", BUNDLE, 3).note
    assert note.startswith("refused: SelfCheckError while activating: a [1m b")
    assert note.isprintable()
    assert len(note) <= MAX_REASON + len("refused: ")


@given(
    st.builds(
        DeploymentState,
        phase=st.sampled_from(["idle", "fetching", "probation"]),
        serving=st.sampled_from([None, BUNDLE, OTHER]),
        committed=st.sampled_from([None, BUNDLE, OTHER]),
        target=st.sampled_from([None, BUNDLE, OTHER]),
        refusal=st.none()
        | st.sampled_from([refusal(), refusal(bundle=OTHER), refusal(bundle=None)]),
        restored_from=st.sampled_from([None, BUNDLE, OTHER]),
    ),
    st.integers(0, 5),
    st.booleans(),
)
def test_no_device_is_committed_or_failed_before_it_was_told(
    deployment: DeploymentState, revision: int, held: bool
) -> None:
    told = state(revision, held=held, deployments={"camera-1": deployment})
    found = stands(told)
    if revision < 3:
        assert found is ASKED
    if found is COMMITTED:
        assert deployment.committed == BUNDLE
    if found is FAILED:
        assert deployment.serving != BUNDLE
        assert not held


class Slow:
    """Rollouts whose turn takes a while."""

    def __init__(self) -> None:
        self.now_s, self.turns, self.takes_s = 0.0, 0, 2.0

    def run(self, _: object) -> int:
        self.turns += 1
        self.now_s += self.takes_s
        return 1


def test_the_worker_rests_for_several_times_as_long_as_a_turn_took() -> None:
    slow = Slow()
    rolling = Rolling(slow, lambda: NOW, lambda: slow.now_s)  # type: ignore[arg-type]
    assert rolling.run() == 1
    assert rolling.run() == 0
    slow.now_s += REST * slow.takes_s - 0.1
    assert rolling.run() == 0
    slow.now_s += 0.1
    assert rolling.run() == 1
    assert slow.turns == 2
