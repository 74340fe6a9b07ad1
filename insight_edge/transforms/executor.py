# SPDX-License-Identifier: Apache-2.0
"""Run the steps of a manifest on arrays, or on their specs alone.

Both walk the steps in order: a step reads one tensor and writes one, possibly
the same. What a single step does is in `arithmetic`, what it makes of a spec in
`shapes`. `run` trusts steps that `infer_specs` has accepted: call that once,
when the manifest is opened, and `run` for every inference.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.steps import AnyStep
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError
from insight_edge.transforms.arithmetic import apply
from insight_edge.transforms.shapes import result_spec


def run(steps: Sequence[AnyStep], tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return all tensors by name after the steps, those passed in included.

    The batch comes first. Every row is computed on its own: a batch of n gives
    the bits of n batches of one. NaN and infinity pass through without a
    warning. The arrays passed in are never written to.

    Raises:
        TensorMismatchError: a `label` step meets an index that has no class.
    """
    known = dict(tensors)
    with np.errstate(all="ignore"):
        for step in steps:
            known[step.result] = apply(step, known[step.source])
    return known


def infer_specs(steps: Sequence[AnyStep], specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Return the specs of all tensors after the steps, those passed in included.

    The order is that in which names first appear.

    Raises:
        ConfigurationError: a step cannot be applied; the message starts with its index.
    """
    known = {spec.name: spec for spec in specs}
    for index, step in enumerate(steps):
        try:
            known[step.result] = result_spec(step, _source(step, known))
        except ConfigurationError as error:
            name = type(step).__name__.lower()
            raise ConfigurationError(f"step {index} ({name}): {error}", hint=error.hint) from error
    return tuple(known.values())


def _source(step: AnyStep, known: Mapping[str, TensorSpec]) -> TensorSpec:
    if step.source not in known:
        raise ConfigurationError(
            f"there is no tensor '{step.source}'", hint=f"tensors so far: {', '.join(known)}"
        )
    return known[step.source]
