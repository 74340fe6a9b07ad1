# SPDX-License-Identifier: Apache-2.0
"""The seam of sources: what one is asked for, and what it hands over."""

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError

Value = bytes | NDArray[Any] | list[Any] | Mapping[str, Any]
"""Bytes of a file or message; the row of the only input; or rows by the names of inputs."""

Rest = Callable[[float], object]
"""Waits for so many seconds, or until the feed is closed."""


def nothing() -> None:
    """Do nothing about an item that is over."""


class Item(NamedTuple):
    """One row on its way to a bundle.

    Attributes:
        key: what it is called: a file's name, a frame's number, a topic.
        lost: rows before this one that the source knows it never had room for.
        over: called once, when it is answered or dropped; not where the feed ends before.
    """

    key: str
    value: Value
    lost: int = 0
    over: Callable[[], None] = nothing


class Asked:
    """What a source was asked for: `TOKEN:PLACE?name=value&name=value`.

    Attributes:
        place: what is between the colon and the last question mark.
        inputs: of the bundle.
    """

    def __init__(
        self, place: str, options: Mapping[str, str], inputs: tuple[TensorSpec, ...]
    ) -> None:
        self.place, self.inputs = place, inputs
        self._options = dict(options)

    def text(self, name: str, default: str = "", *, one_of: tuple[str, ...] = ()) -> str:
        """Return an option, and forget it.

        Raises:
            ConfigurationError: it is none of those that can be meant.
        """
        value = self._options.pop(name, default)
        if one_of and value not in one_of:
            raise ConfigurationError(f"{name}={value}", hint=f"one of {', '.join(one_of)}")
        return value

    def number(self, name: str, default: float, *, least: float) -> float:
        """Return an option that is a number, and forget it.

        Raises:
            ConfigurationError: it is no number, or less than `least`.
        """
        text = self._options.pop(name, None)
        try:
            value = default if text is None else float(text)
        except ValueError as error:
            raise ConfigurationError(f"{name}={text}: no number") from error
        if not value >= least:
            raise ConfigurationError(f"{name}={text}: {least:g} or more")
        return value

    def refuse_others(self) -> None:
        """Refuse options that nobody asked for by now.

        Raises:
            ConfigurationError: there is one.
        """
        for name in self._options:
            raise ConfigurationError(f"this source has no option '{name}'")


class Source(Protocol):
    """Where items come from; made of an `Asked` by whatever the entry point names.

    Making one raises `ConfigurationError` or `MissingError` for what a person has to mend. What
    it remembers of one reading to the next is its own.
    """

    def items(self, rest: Rest) -> Generator[Item | None, None, None]:
        """Yield items in their order, and None at least every second where none comes.

        It may raise anything: it is told, and `items` is called again after a pause. Returning is
        the end of what there is. Closing it frees what it holds. It reads no further than it is
        asked to.
        """
        ...
