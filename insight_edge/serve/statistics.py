# SPDX-License-Identifier: Apache-2.0
"""Counts as the protocol's statistics: pure."""

from insight_edge.documents.open_inference_statistics import (
    AllStatistics,
    Duration,
    InferStatistics,
    ModelStatistics,
)
from insight_edge.serve.tally import Model, ModelTally, Tally


def statistics(tally: Tally, version: str | None = None) -> AllStatistics:
    """Return the statistics of every version that was asked, or of one."""
    return AllStatistics(
        tuple(
            _of_model(model, counted)
            for model, counted in sorted(tally.models.items())
            if version is None or model[1] == version
        )
    )


def _of_model(model: Model, counted: ModelTally) -> ModelStatistics:
    name, version = model
    count, spent = counted.answered, counted.spent
    return ModelStatistics(
        name=name,
        version=version,
        last_inference=int(counted.last_s * 1000),
        inference_count=counted.rows,
        execution_count=count,
        inference_stats=InferStatistics(
            success=Duration(count, counted.answered_ns),
            fail=Duration(counted.failed, counted.failed_ns),
            queue=Duration(count, spent.waited),
            compute_input=Duration(count, spent.reading),
            compute_infer=Duration(count, spent.inferring),
            compute_output=Duration(count, spent.writing),
        ),
    )
