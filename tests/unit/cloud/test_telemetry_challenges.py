# SPDX-License-Identifier: Apache-2.0
"""What challengers did is added once and exactly, however their reports come."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_cloud.console.challenge_view import challenge_lines
from insight_cloud.console.words import MISSING
from insight_cloud.platform.database import Database
from insight_cloud.telemetry.challenges import MAX_PAIRS, Challenged
from insight_cloud.telemetry.rules import Fate
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.challenge import (
    Challenge,
    Disagreement,
    OutputDisagreement,
    merged,
    together,
)
from tests.fakes.telemetry import BUNDLE, NOW, NOW_S, OTHER, find_bundle, message, report

counts = st.integers(0, 2**31)
steps = st.dictionaries(st.integers(0, 20).map(str), counts, max_size=4)
parts = st.builds(
    Disagreement,
    against=st.sampled_from((BUNDLE, OTHER)),
    rows=counts,
    differing=counts,
    odd=counts,
    outputs=st.lists(
        st.builds(OutputDisagreement, name=st.sampled_from("ab"), differing=counts, decibels=steps),
        max_size=2,
        unique_by=lambda output: output.name,
    ).map(tuple),
)
windows = st.builds(
    Challenge,
    compared=counts,
    dropped=counts,
    keyed_served=counts,
    disagreements=st.lists(parts, max_size=2, unique_by=lambda part: part.against).map(tuple),
)


def window(differing: int = 1, **changes: Any) -> Challenge:
    part = Disagreement(
        against=OTHER,
        rows=10,
        differing=differing,
        outputs=(OutputDisagreement(name="y", differing=differing, decibels={"7": 9, "0": 1}),),
    )
    fields: dict[str, Any] = {"compared": 10, "dropped": 5, "disagreements": (part,)}
    return Challenge(**fields | changes)


@pytest.fixture
def telemetry(database: Database, tmp_path: Path) -> Telemetry:
    return Telemetry(database, find_bundle, tmp_path / "log")


@given(several=st.lists(windows, max_size=4), at=st.integers(0, 4))
def test_windows_add_up_however_they_are_split(several: list[Challenge], at: int) -> None:
    whole = together(several)
    split = together([together(several[:at]), together(several[at:])])
    assert sum(one.sampled for one in several) == whole.sampled
    by_bundle = {part.against: part for part in whole.disagreements}
    assert by_bundle == {part.against: part for part in split.disagreements}
    assert merged(whole.disagreements) == whole.disagreements


def test_reports_of_a_challenger_are_added_once(telemetry: Telemetry) -> None:
    sent = [
        message(report(number, role="challenger", challenge=window(number))) for number in range(3)
    ]
    telemetry.ingest(sent[:2], NOW)
    receipts = telemetry.ingest([*sent, message(report(9))], NOW + timedelta(minutes=1))
    assert [one.fate for one in receipts] == [
        Fate.DUPLICATE, Fate.DUPLICATE, Fate.STORED, Fate.STORED,
    ]  # fmt: skip
    (found,) = telemetry.challenged(device="camera-1")
    assert found == telemetry.challenged(bundle=BUNDLE)[0]
    assert (found.bundle, found.changed_s) == (BUNDLE, NOW_S + 60)
    assert (found.told.compared, found.told.sampled) == (30, 45)
    assert (found.told.disagreements[0].rows, found.told.disagreements[0].differing) == (30, 3)
    assert telemetry.challenged(device="camera-2") == ()


def test_challenger_of_a_bundle_that_is_not_known_yet_counts(telemetry: Telemetry) -> None:
    unknown = "sha256:" + "0" * 64
    telemetry.ingest([message(report(bundle=unknown, challenge=window()))], NOW)
    assert [one.bundle for one in telemetry.challenged()] == [unknown]


@pytest.mark.parametrize(
    "challenge",
    [
        window(compared=2**33),
        window(share=1.5),
        window(disagreements=(Disagreement(against="x", rows=1, differing=0),)),
        window(
            disagreements=(
                Disagreement(
                    against=OTHER,
                    rows=1,
                    differing=0,
                    outputs=(OutputDisagreement(name="y", differing=0, decibels={"21": 1}),),
                ),
            )
        ),
    ],
)
def test_what_no_challenger_can_have_done_is_quarantined(
    telemetry: Telemetry, challenge: Challenge
) -> None:
    (receipt,) = telemetry.ingest([message(report(challenge=challenge))], NOW)
    assert receipt.fate is Fate.QUARANTINED
    assert telemetry.challenged() == ()


def test_a_device_that_names_bundles_without_end_fills_no_row(telemetry: Telemetry) -> None:
    for number in range(MAX_PAIRS // 16 + 1):
        several = tuple(
            Disagreement(against=f"sha256:{number * 16 + n:064x}", rows=1, differing=0)
            for n in range(16)
        )
        telemetry.ingest([message(report(number, challenge=window(disagreements=several)))], NOW)
    assert len(telemetry.challenged()[0].told.disagreements) == MAX_PAIRS


def test_what_has_not_changed_for_long_is_let_go(telemetry: Telemetry) -> None:
    telemetry.ingest([message(report(challenge=window()))], NOW)
    telemetry.forget(NOW + timedelta(days=1))
    assert telemetry.challenged()
    telemetry.forget(NOW + timedelta(days=800))
    assert telemetry.challenged() == ()


def test_line_says_how_often_and_how_far_answers_differ() -> None:
    told = Challenged(
        device="camera-1",
        deployment="default",
        bundle=BUNDLE,
        changed_s=NOW_S,
        told=window(failed=2, share=0.25, keyed_served=6, keyed_challenged=2, fell_back=1),
    )
    (line,) = challenge_lines([told])
    assert (line.rows, line.differing) == (10, "10.00 %")
    assert line.interval
    assert line.outputs == ("y: 42 dB, 0 at worst",)
    assert line.calls == "10 of 17 repeated, 2 failed"
    assert line.keys == "2 of 8 calls, 1 it failed"


def test_challenger_that_compared_nothing_has_a_line() -> None:
    told = Challenged(
        device="d", deployment="default", bundle=BUNDLE, changed_s=0.0, told=Challenge(share=0.5)
    )
    (line,) = challenge_lines([told])
    assert (line.against, line.differing) == (None, MISSING)
    assert line.keys == "50.0 % asked for, none came"
