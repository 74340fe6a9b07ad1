# SPDX-License-Identifier: Apache-2.0
"""What a file has already need not be measured again; anything less or other has to be."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as replace_fields

from insight_edge.bench.conditions import conditions_of, software_of
from insight_edge.bench.resuming import Wanted, measured_already
from insight_edge.bench.timing import Scheme
from tests.golden.record import RESULT

VALID = replace_fields(RESULT, measurement=replace_fields(RESULT.measurement, verdict="VALID"))
FOUND = VALID.measurement
SCHEME = Scheme(rounds=FOUND.rounds, threads=FOUND.threads)
WANTED = Wanted(
    bundle=VALID.bundle,
    variant=VALID.variant,
    conditions=conditions_of(VALID),
    software=software_of(VALID),
    scheme=SCHEME,
)


def test_latest_of_the_same_is_taken() -> None:
    older = replace_fields(VALID, at_s=1.0)
    assert measured_already([older, VALID, older], WANTED) == VALID
    assert measured_already([], WANTED) is None


@pytest.mark.parametrize("verdict", ["NOISY", "THROTTLED", "INVALID"])
def test_what_is_not_valid_is_measured_again(verdict: Any) -> None:
    doubtful = replace_fields(VALID, measurement=replace_fields(FOUND, verdict=verdict))
    assert measured_already([doubtful], WANTED) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"bundle": "sha256:" + "0" * 64},
        {"variant": "another"},
        {"conditions": replace(conditions_of(VALID), threads="99")},
        {"conditions": replace(conditions_of(VALID), power_mode="another")},
        {"software": software_of(VALID) | {"insight-edge": "9.9"}},
        {"scheme": replace(SCHEME, rounds=FOUND.rounds + 1)},
        {"scheme": replace(SCHEME, iterations=FOUND.iterations + 1)},
        {"scheme": replace(SCHEME, duration_s=1e6)},
        {"scheme": replace(SCHEME, percents=(12.0,))},
        {"scheme": replace(SCHEME, sustained_s=1e6)},
    ],
)
def test_other_or_less_is_measured_again(changes: dict[str, Any]) -> None:
    assert measured_already([VALID], replace(WANTED, **changes)) is None
