# SPDX-License-Identifier: Apache-2.0
"""Put the items of a feed through a bundle, one by one; each answer is a line of JSON."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from numpy.typing import NDArray

from insight_edge.errors import EngineError, InputError
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.result import Flags, Result
from insight_edge.streaming.buffer import Ended
from insight_edge.streaming.feed import Feed
from insight_edge.streaming.inputs import inputs_of
from insight_edge.streaming.seam import Item

LOOK_S = 0.2
"""How soon it is noticed that nobody wants answers any more."""


class Answer(NamedTuple):
    """What became of one item that was taken.

    Attributes:
        result: None where it failed.
        error: why, in one line; None where it did not.
    """

    key: str
    result: Result | None
    error: str | None


def answers(
    runtime: Runtime, feed: Feed, wanted: Callable[[], bool] = lambda: True
) -> Iterator[Answer]:
    """Yield an answer for each item; one that the bundle does not take is answered with why.

    An item is over when the next answer is asked for: by then this one is wherever it had to go.

    Raises:
        ConfigurationError, MissingError: the source needs a person.
        SlotError: no bundle is serving.
    """
    while wanted():
        try:
            item = feed.take(LOOK_S)
        except Ended:
            return
        if item is not None:
            yield _answer(runtime, item)
            item.over()


def line_of(answer: Answer) -> bytes:
    """Return an answer as a line of JSON; NaN and infinity are null."""
    result = answer.result
    if result is None:
        return msgspec.json.encode({"key": answer.key, "error": answer.error}) + b"\n"
    told: dict[str, Any] = {
        "key": answer.key,
        "id": result.id,
        "outputs": {name: _plain(array) for name, array in result.outputs.items()},
    }
    flags = [flag.name for flag in Flags if flag and flag in result.flags]
    return msgspec.json.encode(told | ({"flags": flags} if flags else {})) + b"\n"


def _answer(runtime: Runtime, item: Item) -> Answer:
    served = runtime.served
    specs = () if served is None else served.manifest.io.inputs
    try:
        return Answer(item.key, runtime.infer(inputs_of(item.value, specs), item.key), None)
    except (InputError, EngineError) as error:
        return Answer(item.key, None, str(error))


def _plain(array: NDArray[Any]) -> Any:
    """Return the only row of an output, or all of it."""
    return (array[0] if array.ndim and len(array) == 1 else array).tolist()
