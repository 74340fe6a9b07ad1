# SPDX-License-Identifier: Apache-2.0
"""Which class a result names, which one an outcome, and whether they are the same. Pure."""

from collections.abc import Mapping, Sequence

Value = bool | float | int | str
Class = tuple[int | None, str | None]
"""Index and name, either None where it is not said; both None where no class is named."""

NO_CLASS: Class = (None, None)
MAX_INDEX = 2**31
MAX_NAME_LENGTH = 200


def predicted_class(outputs: Mapping[str, Sequence[Value] | None]) -> Class:
    """Return the class that a result names.

    A single text is a name and a single integer an index; without either, the only output of
    several numbers is taken for a score a class, of which the first largest counts.
    """
    texts, integers, scores = [], [], []
    for values in outputs.values():
        if not values:
            continue
        first = values[0]
        if len(values) > 1:
            if not isinstance(first, str):
                scores.append(values)
        elif isinstance(first, str):
            texts.append(first)
        elif isinstance(first, int):
            integers.append(int(first))
    if len(texts) == 1 or len(integers) == 1:
        return (
            _index(integers[0]) if len(integers) == 1 else None,
            _name(texts[0]) if len(texts) == 1 else None,
        )
    return (_largest(scores[0]), None) if len(scores) == 1 else NO_CLASS


def labelled_class(label: float | str) -> Class:
    """Return the class that an outcome names; a number with a fraction names none."""
    if isinstance(label, str):
        return None, _name(label)
    return (_index(label), None) if isinstance(label, int) else NO_CLASS


def same_class(predicted: Class, true: Class, classes: Sequence[str]) -> bool | None:
    """Return whether two classes are the same; None where that cannot be told."""
    indices = (_resolved(predicted, classes), _resolved(true, classes))
    if None not in indices:
        return indices[0] == indices[1]
    names = (predicted[1], true[1])
    return None if None in names else names[0] == names[1]


def _resolved(named: Class, classes: Sequence[str]) -> int | None:
    index, name = named
    if index is None and name in classes:
        return classes.index(name)
    return index


def _largest(scores: Sequence[Value]) -> int | None:
    numbers = [score for score in scores if isinstance(score, (int, float))]
    if len(numbers) < len(scores) or any(number != number for number in numbers):  # noqa: PLR0124
        return None
    return numbers.index(max(numbers))


def _index(value: int) -> int | None:
    return value if 0 <= value < MAX_INDEX else None


def _name(value: str) -> str | None:
    return value if len(value) <= MAX_NAME_LENGTH and "\x00" not in value else None
