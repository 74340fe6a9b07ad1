# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np

from insight_edge.bundle.owner import NOBODY
from insight_edge.documents.frames import frame_from_message
from insight_edge.documents.host import TakenPredictions
from insight_edge.runtime.predictions import MAX_KEPT, PredictionLog
from insight_edge.runtime.result import Flags, Origin, Result

ORIGIN = Origin(owner=NOBODY, boot=2, bundle="sha256:b", judge=lambda *_: Flags.NONE)


def result(counter: int, outputs: dict[str, Any] | None = None, key: str | None = "k") -> Result:
    return Result(counter, key, outputs or {"y": np.array([[0.5, 0.25]])}, ORIGIN, {})


def test_row_says_who_answered_what() -> None:
    log = PredictionLog()
    log.keep(result(7, {"p": np.array([[1.0, 2.0]]), "label": np.array(["a"]), "c": np.array([3])}))
    (row,) = log.oldest(9)
    assert (row.id, row.key, row.bundle) == ("local/default/2/7", "k", "sha256:b")
    assert row.outputs == {"p": [1.0, 2.0], "label": ["a"], "c": [3]}


def test_row_of_a_batch_is_its_first() -> None:
    log = PredictionLog()
    log.keep(result(0, {"p": np.array([[1.0, 2.0], [3.0, 4.0]])}))
    assert log.oldest(1)[0].outputs == {"p": [1.0, 2.0]}


def test_rows_leave_when_confirmed_and_not_before() -> None:
    log = PredictionLog()
    for counter in range(5):
        log.keep(result(counter))
    rows = log.oldest(3)
    assert log.oldest(3) == rows
    log.confirm(rows)
    log.confirm(rows)
    assert [row.id for row in log.oldest(9)] == ["local/default/2/3", "local/default/2/4"]
    assert log.oldest(-1) == ()


def test_log_drops_the_oldest() -> None:
    log = PredictionLog()
    for counter in range(MAX_KEPT + 2):
        log.keep(result(counter))
    assert log.oldest(1)[0].id == "local/default/2/2"


def test_full_answer_fits_a_frame_whatever_the_outputs() -> None:
    log = PredictionLog()
    huge = {
        "mask": np.full((1, 300_000), 0.1),
        "p": np.full((1, 500), 0.1),
        "text": np.array([["é" * 400] * 2]),
    }
    for counter in range(300):
        log.keep(result(counter, huge, key="k" * 256))
    log.keep(result(300, huge, key="k" * 257))
    rows = log.oldest(256)
    assert len(rows) == 256
    assert set(rows[0].outputs) <= {"p", "text"}
    frame_from_message(TakenPredictions(rows=rows))
