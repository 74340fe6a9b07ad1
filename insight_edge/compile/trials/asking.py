# SPDX-License-Identifier: Apache-2.0
"""Put a question to a subject that takes its time: as many rows as there is time for.

Rows are asked in runs of neighbours, in an order that has nothing to do with what they are,
so that those that were asked stand for all.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insight_edge.bench.subject import SubjectProcess
from insight_edge.compile.rows.metric import Labels
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.trials.oracle import Arrays, fed_rows
from insight_edge.compile.trials.question import Question

RUN_ROWS = 32
"""Rows of a run where the batch is free."""

ORDER_SEED = 0

UNSHIPPED_S = 20.0
"""How long an artifact is asked that is not shipped whatever it answers. Convolutions of TVM that
nobody tuned took five minutes to answer what ONNX Runtime answers in ten seconds."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What was asked of a question, and the answers.

    Attributes:
        source, target: raw outputs of the source model and of the subject, row by row.
        labels: of these rows, or None.
        rows: their numbers in the question.
    """

    source: Arrays
    target: Arrays
    labels: Labels | None
    rows: NDArray[np.intp]


def answered(
    subject: SubjectProcess, source: SourceModel, question: Question, budget_s: float | None
) -> Answered:
    """Return the answers to the rows of a question that has some.

    Args:
        subject: running.
        source: whose `pre` makes the model's inputs.
        question: with its answers.
        budget_s: after so many seconds no more is asked, but for the first run; None for all.

    Raises:
        InsightEdgeError: as `SubjectProcess.answer`.
    """
    if budget_s is None:
        found = subject.answer(fed_rows(source, question.rows))
        every = np.arange(question.count)
        return Answered(source=question.answers, target=found, labels=question.labels, rows=every)
    deadline = time.monotonic() + budget_s
    asked: list[NDArray[np.intp]] = []
    parts: list[Arrays] = []
    for run in _runs(question.count, _batch(source)):
        rows = {name: array[run] for name, array in question.rows.items()}
        parts.append(subject.answer(fed_rows(source, rows)))
        asked.append(run)
        if time.monotonic() > deadline:
            break
    labels, chosen = question.labels, np.concatenate(asked)
    return Answered(
        source={name: array[chosen] for name, array in question.answers.items()},
        target={name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        labels=None if labels is None else labels[chosen],
        rows=chosen,
    )


def patience_s(budget_s: float | None, unfinished: str) -> float | None:
    """Return how long an artifact is asked: less than its budget where it is not shipped anyway."""
    if not unfinished:
        return budget_s
    return UNSHIPPED_S if budget_s is None else min(budget_s, UNSHIPPED_S)


def _runs(count: int, batch: int) -> list[NDArray[np.intp]]:
    """Return the numbers of so many rows in runs of whole batches, shuffled."""
    step = batch * max(1, RUN_ROWS // batch)
    starts = np.random.default_rng(ORDER_SEED).permutation(np.arange(0, count, step))
    return [np.arange(start, min(start + step, count)) for start in starts]


def _batch(source: SourceModel) -> int:
    size = source.workload.inputs[0].shape[0]
    return size if isinstance(size, int) else 1
