# SPDX-License-Identifier: Apache-2.0
"""What the statistics extension of the Open Inference Protocol says of a model."""

from msgspec import Struct


class Duration(Struct, frozen=True):
    """How often, and how long in all, in ns."""

    count: int = 0
    ns: int = 0


class InferStatistics(Struct, frozen=True):
    """Where the time of calls went.

    Attributes:
        success, fail: from being put in line to the answer, of those answered and the others.
        queue: waiting for a thread.
        compute_input, compute_output: reading and writing bodies.
        compute_infer: pre-processing, engine, post-processing, and being observed.
    """

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(Struct, frozen=True):
    """Counts of one version since the server started.

    Attributes:
        last_inference: ms since the epoch; 0 before the first.
        inference_count: rows.
        execution_count: calls.
    """

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: InferStatistics
    batch_stats: tuple[Duration, ...] = ()


class AllStatistics(Struct, frozen=True):
    """Every version that was asked."""

    model_stats: tuple[ModelStatistics, ...]
