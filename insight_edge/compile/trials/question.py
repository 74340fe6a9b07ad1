# SPDX-License-Identifier: Apache-2.0
"""What every artifact of a compilation is asked, and what the source model answers to it.

The rows to prove on, the golden rows among them, and the reference. Prepared
once a compilation; nothing here knows a target.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.durable import replace_file
from insight_edge.bundle.npz import npz_from_arrays
from insight_edge.compile.graph.rowwise import RowlessError
from insight_edge.compile.rows.metric import Labels, scored_output
from insight_edge.compile.rows.random_rows import random_rows, random_rows_after
from insight_edge.compile.rows.samples import Samples
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.trials.oracle import Arrays, fed_rows, source_answers
from insight_edge.documents.manifest import GoldenSource, Reference, ranks_classes
from insight_edge.documents.steps import Feature, Observe
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import (
    ConfigurationError,
    DocumentError,
    InputError,
    ModelError,
    TensorMismatchError,
)
from insight_edge.transforms.executor import infer_specs, run
from insight_edge.transforms.features import (
    MAX_INPUT_FEATURES,
    column_features,
    image_features,
    output_features,
)
from insight_edge.transforms.observed import check_observe
from insight_edge.transforms.reference import reference_from_tensors
from insight_edge.transforms.sampling import default_strides

MOST_CHANNELS = 16
"""Of what is taken for an image: a dimension of more is its height or width."""

GOLDEN_ROWS = 16
"""Golden rows: enough that any output channel of any layer matters to one of them."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Rows in the caller's format and the source model's answers.

    Attributes:
        rows: by input name, to prove on; none where there are no samples.
        labels: of these rows, or None; they fit an output.
        answers: raw outputs of the source model on them.
        golden_rows: a few of the rows; where there are none, those that the model's file carries
            and random ones after them.
        golden_answers: raw outputs of the source model on the golden rows.
        observe, reference: what the device counts, and the same counted of the samples.
    """

    rows: Arrays
    labels: Labels | None
    answers: Arrays
    golden_rows: Arrays
    golden_answers: Arrays
    golden_source: GoldenSource
    observe: Observe
    reference: Reference | None

    @property
    def count(self) -> int:
        """How many rows there are to prove on."""
        return len(next(iter(self.rows.values()), ()))


def ask(source: SourceModel, samples: Samples | None) -> Question:
    """Return the question that the samples make of a source model.

    Raises:
        ModelError: the source model fails on the rows, or what the description observes cannot
            be computed from its tensors.
        ConfigurationError: the labels fit no output.
    """
    _refuse_observe(source)
    rows, labels = _whole_batches(source, samples) if samples else ({}, None)
    count = len(next(iter(rows.values()), ()))
    answers = source_answers(source, fed_rows(source, rows)) if count else {}
    if labels is not None and count:
        scored_output(answers, labels, ranked=ranks_classes(source.described.model.task))
    golden_source, golden_rows, golden_answers = _golden(source, rows, count)
    observe, reference = _reference(source, rows, answers, count)
    return Question(
        rows=rows if count else {},
        labels=labels,
        answers=answers,
        golden_rows=golden_rows,
        golden_answers=golden_answers,
        golden_source=golden_source,
        observe=observe,
        reference=reference,
    )


def keep_question(place: Path, question: Question) -> None:
    """Write what was asked of the source model, and what it answered.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    groups = {
        "row": question.rows,
        "answer": question.answers,
        "golden-row": question.golden_rows,
        "golden-answer": question.golden_answers,
    }
    arrays = {f"{kind}.{name}": a for kind, group in groups.items() for name, a in group.items()}
    replace_file(place / "question.npz", npz_from_arrays(arrays))


def _whole_batches(source: SourceModel, samples: Samples) -> tuple[Arrays, Labels | None]:
    """Return the rows to prove on, less those that do not fill a fixed batch."""
    rows, labels = samples.proof()
    keep = len(next(iter(rows.values())))
    keep -= keep % _batch(source)
    cut = {name: array[:keep] for name, array in rows.items()}
    return cut, None if labels is None else labels[:keep]


def _golden(source: SourceModel, rows: Arrays, count: int) -> tuple[GoldenSource, Arrays, Arrays]:
    """Return golden rows, where they come from, and the source model's answers to them."""
    batch = _batch(source)
    wanted = max(batch, GOLDEN_ROWS - GOLDEN_ROWS % batch)
    if count:
        chosen = np.unique(np.linspace(0, count - 1, min(wanted, count)).astype(np.int64))
        golden = {name: array[chosen] for name, array in rows.items()}
        return "data", golden, source_answers(source, fed_rows(source, golden))
    failed: InputError | None = None
    for origin, golden in _made_up(source, wanted):
        try:
            return origin, golden, source_answers(source, fed_rows(source, golden))
        except RowlessError:
            raise
        except (ModelError, DocumentError, TensorMismatchError) as error:
            failed = failed or error
    raise ModelError(f"{failed}", hint="pass rows that it takes (--calibration x.npz)") from failed


def _made_up(source: SourceModel, wanted: int) -> Iterator[tuple[GoldenSource, Arrays]]:
    """Yield rows to try where nobody gave any: the examples of the model's file first."""
    # A description's rows are in another format, and of zeros alone no weight matters.
    floats = [array for array in source.examples.values() if array.dtype.kind == "f"]
    if source.examples and not source.described.pre and all(map(_varies, floats)):
        examples = dict(source.examples)
        # A few rows leave most of a network's channels at rest; random ones follow where it can.
        yield "example", random_rows_after(examples, wanted)
        yield "example", {name: array[:wanted] for name, array in examples.items()}
    for golden in random_rows(source.described.inputs, wanted):
        yield "random", golden


def _varies(array: NDArray[np.generic]) -> bool:
    return array.size < 2 or bool((array != array.flat[0]).any())


def _batch(source: SourceModel) -> int:
    size = source.workload.inputs[0].shape[0]
    return size if isinstance(size, int) else 1


def _reference(
    source: SourceModel, rows: Arrays, answers: Arrays, count: int
) -> tuple[Observe, Reference | None]:
    """Return the description's own, or for a bare model the default features of the rows."""
    described = source.described
    if described.reference is not None:
        return described.observe, described.reference
    if not count:
        return Observe(), None
    observe = described.observe
    if not observe.inputs and not observe.outputs:
        observe = _default_observe(source)
    fed = run(described.pre, rows)
    inputs = rows if observe.stage == "raw" else fed
    outputs = run(described.post, fed | answers)
    return observe, reference_from_tensors(observe, inputs, outputs)


def _refuse_observe(source: SourceModel) -> None:
    described = source.described
    raw = described.observe.stage == "raw"
    inputs = described.inputs if raw else source.workload.inputs
    try:
        known = infer_specs(described.pre, described.inputs)
        outputs = infer_specs(described.post, (*known, *source.workload.outputs))
        check_observe(described.observe, inputs, outputs)
    except ConfigurationError as error:
        raise ModelError(f"the description does not fit: {error}", hint=error.hint) from error
    if described.reference is not None:
        counted = {column.name for column in described.reference.grid.columns}
        observed = {f.name for f in (*described.observe.inputs, *described.observe.outputs)}
        if counted != observed:
            raise ModelError(
                "the description does not fit: its reference counts other features than it observes"
            )


def _default_observe(source: SourceModel) -> Observe:
    """Return what is observed of a bare model: what its tensors look like decides.

    A table has a feature for each column, an image its usual ones; tensors of other shapes have
    none. Beyond 64 features of inputs the rest is left out: a description says better which.
    """
    inputs: list[Feature] = []
    for spec in source.workload.inputs:
        inputs += _default_features(spec)
    outputs = [
        feature
        for spec in source.described.outputs
        if len(spec.shape) == 2 and np.dtype(spec.dtype).kind == "f" and spec.shape[1] != 1
        for feature in output_features(spec.name)
    ]
    seen = tuple(inputs[:MAX_INPUT_FEATURES])
    strides = default_strides(seen, source.workload.inputs)
    return Observe(inputs=seen, outputs=tuple(outputs), strides=strides)


def _default_features(spec: TensorSpec) -> tuple[Feature, ...]:
    if not all(isinstance(size, int) for size in spec.shape[1:]):
        return ()
    sizes = [int(size) for size in spec.shape[1:]]
    if len(sizes) == 3 and min(sizes[:2]) > MOST_CHANNELS and sizes[2] in {1, 3, 4}:
        return image_features(spec.name, sizes[2], axis=3)
    if np.dtype(spec.dtype).kind != "f":
        return ()
    if len(sizes) == 1 and sizes[0] <= MAX_INPUT_FEATURES:
        return column_features(spec.name, [f"{spec.name}.{i}" for i in range(sizes[0])])
    if len(sizes) == 3 and min(sizes[1:]) > 1 and sizes[0] <= MOST_CHANNELS:
        return image_features(spec.name, sizes[0])
    return ()
