# SPDX-License-Identifier: Apache-2.0
"""How a `tokenizer.json` arranges one text and two, as templates of a vocabulary."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from insight_edge.documents.vocabulary import FIRST, SECOND
from insight_edge.errors import DocumentError

Template = tuple[tuple[int, int], ...]
Part = Mapping[str, Any]


def templates(processors: Sequence[Part]) -> tuple[Template, Template]:
    """Return the template of one text and that of two; plain ones where nothing is said.

    Raises:
        DocumentError: a processor that is not known here, or several that arrange.
    """
    told = [one for one in processors if one["type"] != "ByteLevel"]  # that one moves offsets
    if not told:
        return ((FIRST, 0),), ((FIRST, 0), (SECOND, 1))
    [one, *others] = told
    if others or one["type"] not in _ARRANGING:
        names = ", ".join(each["type"] for each in told)
        raise DocumentError(f"the post_processor {names} is not done here")
    return _ARRANGING[one["type"]](one)


def _declared(one: Part) -> tuple[Template, Template]:
    numbers = {name: list(found["ids"]) for name, found in one["special_tokens"].items()}
    single, pair = (tuple(_parts(one[name], numbers)) for name in ("single", "pair"))
    return single, pair


def _parts(told: Sequence[Part], numbers: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, int]]:
    for part in told:
        [(kind, found)] = part.items()
        ids = [{"A": FIRST, "B": SECOND}[found["id"]]] if kind == "Sequence" else None
        for number in numbers[found["id"]] if ids is None else ids:
            yield number, found["type_id"]


def _bert(one: Part) -> tuple[Template, Template]:
    first, last = one["cls"][1], one["sep"][1]
    single = ((first, 0), (FIRST, 0), (last, 0))
    return single, (*single, (SECOND, 1), (last, 1))


def _roberta(one: Part) -> tuple[Template, Template]:
    first, last = one["cls"][1], one["sep"][1]
    single = ((first, 0), (FIRST, 0), (last, 0))
    return single, (*single, (last, 0), (SECOND, 0), (last, 0))


_ARRANGING: Mapping[str, Callable[[Part], tuple[Template, Template]]] = {
    "TemplateProcessing": _declared,
    "BertProcessing": _bert,
    "RobertaProcessing": _roberta,
}
