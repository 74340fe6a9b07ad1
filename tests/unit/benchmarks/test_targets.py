# SPDX-License-Identifier: Apache-2.0
"""The speed of wrong answers is no figure."""

import pytest

from benchmarks.targets import LEAST_SQNR_DB, _sqnr_db
from insight_edge.documents.evidence import Proof, Trial
from insight_edge.documents.target import Target
from insight_edge.errors import MeasurementError


def trial(sqnr_db: float | None) -> Trial:
    proof = Proof(
        rows=10,
        labelled=False,
        metric="agreement",
        source_value=1.0,
        target_value=1.0,
        drop_pp=0.0,
        drop_upper_pp=1.0,
        budget_pp=100.0,
        agreement=1.0,
        max_abs_error=0.1,
        sqnr_db=sqnr_db,
        worst_row=0,
        verdict="PROVEN",
        reason="",
    )
    target = Target(backend="openvino", precision="int8")
    return Trial(target=target, status="built", reason="", proof=proof)


def test_target_that_computes_the_model_is_taken() -> None:
    assert _sqnr_db(trial(LEAST_SQNR_DB)) == LEAST_SQNR_DB


@pytest.mark.parametrize("sqnr_db", [None, -249.0, LEAST_SQNR_DB - 0.1])
def test_target_that_does_not_compute_the_model_is_an_error(sqnr_db: float | None) -> None:
    with pytest.raises(MeasurementError, match="openvino:int8 does not compute"):
        _sqnr_db(trial(sqnr_db))


def test_target_without_a_proof_is_an_error() -> None:
    unproven = Trial(target=trial(None).target, status="failed", reason="")
    with pytest.raises(MeasurementError, match="openvino:int8 does not compute"):
        _sqnr_db(unproven)
