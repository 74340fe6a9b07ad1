# SPDX-License-Identifier: Apache-2.0
"""Run the steps of a manifest on arrays, or on their specs alone.

Both walk the steps in order: a step reads tensors by name and writes some, possibly
the same. What a single step does is in `arithmetic` and the modules that add to it, what
it makes of specs in `shapes`. `run` trusts steps that `infer_specs` has accepted: call that
once, when the manifest is opened, and `run` for every inference.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.steps import AnyStep, Crop, Decode, Letterbox, Resize
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, InputError, TensorMismatchError

Arrays = dict[str, NDArray[Any]]

_SETTLING = (Resize, Crop, Letterbox)
"""Steps after which images of a batch have one size, whatever they had before."""


def run(steps: Sequence[AnyStep], tensors: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return all tensors by name after the steps, those passed in included.

    The batch comes first. Every row is computed on its own: a batch of n gives
    the bits of n batches of one. NaN and infinity pass through without a
    warning. The arrays passed in are never written to. Where steps decode files, a
    tensor of which rows may have several sizes is left out.

    Raises:
        TensorMismatchError: a `label` step meets an index that has no class, or an image does
            not fit a step.
        DocumentError, LimitExceededError: a row of `decode` is no image that is read.
    """
    with np.errstate(all="ignore"):
        if any(isinstance(step, Decode) for step in steps):
            return _by_rows(steps, tensors)
        return _run(steps, tensors)


def infer_specs(steps: Sequence[AnyStep], specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Return the specs of all tensors after the steps, those passed in included.

    The order is that in which names first appear.

    Raises:
        ConfigurationError: a step cannot be applied; the message starts with its index.
    """
    known = {spec.name: spec for spec in specs}
    if not steps:
        return tuple(known.values())
    from insight_edge.transforms.kinds import learn, result_spec  # a bundle may have no steps

    learn(steps)
    for index, step in enumerate(steps):
        try:
            made = result_spec(step, *(_known(name, known) for name in step.reads))
        except ConfigurationError as error:
            raise ConfigurationError(
                f"step {index} ({step.op}): {error}", hint=error.hint
            ) from error
        for spec in made if isinstance(made, tuple) else (made,):
            known[spec.name] = spec
    return tuple(known.values())


def carried(post: Sequence[AnyStep], answered: Iterable[str]) -> frozenset[str]:
    """Return the tensors that steps after the model read and that come from before it."""
    known = set(answered)
    wanted: set[str] = set()
    for step in post:
        wanted.update(set(step.reads) - known)
        known.update(step.writes)
    return frozenset(wanted)


def answered(
    pre: Sequence[AnyStep],
    post: Sequence[AnyStep],
    inputs: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, NDArray[Any]],
) -> Arrays:
    """Return all tensors after `post` for callers' inputs and what the model answers to them.

    Raises:
        TensorMismatchError, DocumentError, LimitExceededError: as `run`.
    """
    wanted = carried(post, outputs)
    before = run(pre, inputs) if wanted else {}
    return run(post, {name: before[name] for name in wanted} | dict(outputs))


def _run(steps: Sequence[AnyStep], tensors: Mapping[str, NDArray[Any]]) -> Arrays:
    from insight_edge.transforms.kinds import apply, learn  # as above

    learn(steps)
    known = dict(tensors)
    for step in steps:
        made = apply(step, *(known[name] for name in step.reads))
        known.update(zip(step.writes, made if isinstance(made, tuple) else (made,), strict=True))
    return known


def _by_rows(steps: Sequence[AnyStep], tensors: Mapping[str, NDArray[Any]]) -> Arrays:
    """Run one row after another: files of one batch may hold images of several sizes."""
    rows = len(next(iter(tensors.values())))
    if not rows:
        raise TensorMismatchError("there is no row to decode")
    left_out = _ragged(steps).union(tensors)
    parts = []
    for row in range(rows):
        try:
            made = _run(steps, {name: array[row : row + 1] for name, array in tensors.items()})
        except InputError as error:
            raise type(error)(f"row {row}: {error}", hint=error.hint) from error
        parts.append({name: made[name] for name in made if name not in left_out})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return dict(tensors) | joined


def _ragged(steps: Sequence[AnyStep]) -> frozenset[str]:
    """Return the tensors of which rows may have several sizes in the end."""
    ragged: set[str] = set()
    for step in steps:
        if isinstance(step, Decode) or (
            ragged.intersection(step.reads) and not isinstance(step, _SETTLING)
        ):
            ragged.update(step.writes)
        else:
            ragged.difference_update(step.writes)
    return frozenset(ragged)


def _known(name: str, known: Mapping[str, TensorSpec]) -> TensorSpec:
    if name not in known:
        raise ConfigurationError(
            f"there is no tensor '{name}'", hint=f"tensors so far: {', '.join(known)}"
        )
    return known[name]
