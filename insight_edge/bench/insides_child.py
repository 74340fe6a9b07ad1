# SPDX-License-Identifier: Apache-2.0
"""The child process of `bench.insides`: `python -m insight_edge.bench.insides_child SETUP`.

It opens the bundle as the device does and asks the variant's engine what is
inside. How many rows and tensors fit into memory is for the caller to say.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.lifeline import die_with
from insight_edge.bundle.npz import arrays_from_npz, npz_from_arrays
from insight_edge.bundle.open import Bundle, open_bundle
from insight_edge.documents.codec import Versioned, decode_json, encode_json
from insight_edge.documents.facts import Missing
from insight_edge.documents.manifest import Variant
from insight_edge.errors import EngineMissingError, InferenceFailedError, InsightEdgeError
from insight_edge.runtime.insides import LayerFacts, Making, Revealing, Showing
from insight_edge.runtime.loading import engines, load_session
from insight_edge.runtime.usage_data import send_none

ROWS, ANSWER, TENSORS = "rows.npz", "answer.json", "tensors.npz"
MAX_TENSORS = 10_000
MAX_TENSORS_BYTES = 4 * 2**30

Arrays = dict[str, NDArray[Any]]


class Setup(Versioned, frozen=True, kw_only=True):
    """What a child is to look at.

    Attributes:
        wanted: by tensor of the source model, what the artifact may call it; its layers for None.
        outputs: that the artifact answers are wanted instead.
        made: what its steps make is wanted instead.
        folder: for the rows and the answer.
        parent: process that it must not outlive.
    """

    bundle: str
    variant: str
    wanted: dict[str, tuple[str, ...]] | None
    outputs: bool = False
    made: bool = False
    folder: str
    parent: int


class Answer(Versioned, frozen=True, kw_only=True):
    """What a child found.

    Attributes:
        known: whether the engine can tell.
        layers: where these were asked for.
        order, names: keys in the file of tensors, and whose they are.
        kind: name of a class in `errors` where it was refused, with `message` and `hint`.
    """

    known: bool = False
    layers: tuple[LayerFacts, ...] = ()
    order: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    kind: str = ""
    message: str = ""
    hint: str | None = None


def main(path: Path) -> None:
    """Do what a setup says."""
    setup = decode_json(Setup, path.read_bytes())
    die_with(setup.parent)
    send_none()
    folder = Path(setup.folder)
    try:
        answer = _looked(setup, folder)
    except InsightEdgeError as error:
        answer = Answer(kind=type(error).__name__, message=str(error), hint=error.hint)
    (folder / ANSWER).write_bytes(encode_json(answer))


def _looked(setup: Setup, folder: Path) -> Answer:
    bundle = open_bundle(setup.bundle, allow_unsigned=True)
    variant = bundle.variant(setup.variant)
    engine = _engine(variant)
    inputs = arrays_from_npz(
        (folder / ROWS).read_bytes(), max_bytes=MAX_TENSORS_BYTES, max_arrays=MAX_TENSORS
    )
    try:
        if setup.outputs:
            return _with_tensors(_answers(bundle, variant, inputs), folder)
        if setup.made:
            return _with_made(engine, bundle, variant, inputs, folder)
        if setup.wanted is None:
            return _with_layers(engine, bundle, variant, inputs)
        if not isinstance(engine, Showing):
            return Answer()
        return _with_tensors(engine.tensors(bundle, variant, inputs, setup.wanted), folder)
    except InsightEdgeError:
        raise
    except Exception as error:
        line = next(iter(str(error).strip().splitlines()), "")
        raise InferenceFailedError(
            f"{variant.name}: the engine cannot be looked into: {type(error).__name__}: {line}"
        ) from error


def _answers(bundle: Bundle, variant: Variant, inputs: Arrays) -> Arrays:
    session = load_session(bundle, variant, threads=1)
    try:
        return dict(session.infer(inputs))
    finally:
        session.close()


def _with_layers(engine: object, bundle: Bundle, variant: Variant, inputs: Arrays) -> Answer:
    if not isinstance(engine, Revealing):
        return Answer()
    return Answer(known=True, layers=engine.layers(bundle, variant, inputs))


def _with_made(
    engine: object, bundle: Bundle, variant: Variant, inputs: Arrays, folder: Path
) -> Answer:
    if not isinstance(engine, Making):
        return Answer()
    return _with_tensors(engine.made(bundle, variant, inputs), folder)


def _with_tensors(found: Arrays, folder: Path) -> Answer:
    numbers = {name: np.atleast_1d(array) for name, array in found.items()}
    keys = [f"t{place}" for place in range(len(numbers))]
    data = npz_from_arrays(dict(zip(keys, numbers.values(), strict=True)))
    (folder / TENSORS).write_bytes(data)
    return Answer(known=True, order=tuple(keys), names=tuple(numbers))


def _engine(variant: Variant) -> object:
    token = variant.target.backend
    engine = engines().get(token, Missing(name=token, reason="no plug-in of that name"))
    facts = engine if isinstance(engine, Missing) else engine.facts()
    if isinstance(facts, Missing):
        raise EngineMissingError(
            f"{variant.name} runs on {token}, which is not on this machine: {facts.reason}",
            hint=f"pip install 'insight-edge[{token}]'",
        )
    return engine


if __name__ == "__main__":
    main(Path(sys.argv[1]))
