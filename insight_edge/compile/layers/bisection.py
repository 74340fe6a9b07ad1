# SPDX-License-Identifier: Apache-2.0
"""Find the first layer that diverges by asking few cuts of a model; pure.

Cuts are halved until one agrees and the next diverges. That every cut after the
first that diverges diverges, too, is assumed and not needed: what is named has
inputs that agree and does not itself, or that is said not to be sure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from insight_edge.compile.graph.cut import Cut
from insight_edge.compile.layers.divergence import LayerError

Errors = Mapping[str, LayerError]
Ask = Callable[[Sequence[str]], Errors | None]
"""Compares the tensors that a cut ends in; None where that cut cannot be built or asked."""


@dataclass(frozen=True, kw_only=True)
class Located:
    """What was found.

    Attributes:
        first: the layer that diverges; None where the whole, built again, does not.
        sure: all that it takes was seen to agree.
        seen: every layer that was compared, by tensor; as it was seen last.
    """

    first: LayerError | None
    sure: bool
    seen: Errors


@dataclass(kw_only=True)
class _Search:
    ask: Ask
    seen: dict[str, LayerError] = field(default_factory=dict)

    def diverged(self, tensors: Sequence[str]) -> LayerError | Literal[False] | None:
        """Return the first of a cut's tensors that diverges, None for none, False if not known."""
        errors = self.ask(tensors)
        if errors is None:
            return False
        self.seen.update(errors)
        return next((errors[t] for t in tensors if t in errors and errors[t].diverged), None)

    def any_diverged(self, tensors: Sequence[str]) -> LayerError | Literal[False] | None:
        """Return the same of tensors that need not be asked at once."""
        found = self.diverged(tensors) if tensors else None
        if found is not False or len(tensors) == 1:
            return found
        singly = [self.diverged([name]) for name in tensors]
        wrong = (one for one in singly if isinstance(one, LayerError))
        return next(wrong, False if False in singly else None)


def locate(cuts: Sequence[Cut], inputs: Mapping[str, Sequence[str]], ask: Ask) -> Located | None:
    """Return the first layer that diverges; None where the whole model cannot be asked.

    Args:
        cuts: in order, the whole model last.
        inputs: by tensor, those that its operator takes and that can be compared.
        ask: see `Ask`.
    """
    search = _Search(ask=ask)
    whole = search.diverged(cuts[-1].tensors)
    if whole is False:
        return None
    if not isinstance(whole, LayerError):
        return Located(first=None, sure=True, seen=search.seen)
    first, agreed = _halved(search, cuts[:-1], whole)
    first, sure = _confirmed(search, inputs, first, agreed)
    return Located(first=first, sure=sure, seen=search.seen)


def _halved(
    search: _Search, cuts: Sequence[Cut], whole: LayerError
) -> tuple[LayerError, frozenset[str]]:
    """Return a layer of the first cut that diverges, and what the cut before it ends in."""
    between, first, agreed = list(cuts), whole, frozenset[str]()
    while between:
        middle = len(between) // 2
        found = search.diverged(between[middle].tensors)
        if found is False:
            del between[middle]
        elif isinstance(found, LayerError):
            first, between = found, between[:middle]
        else:
            agreed, between = frozenset(between[middle].tensors), between[middle + 1 :]
    return first, agreed


def _confirmed(
    search: _Search,
    inputs: Mapping[str, Sequence[str]],
    first: LayerError,
    agreed: frozenset[str],
) -> tuple[LayerError, bool]:
    """Return the layer, or one before it, none of whose inputs diverges; and whether that is sure.

    Inputs come before, so this ends.
    """
    while True:
        open_ = [name for name in inputs.get(first.tensor, ()) if name not in agreed]
        found = search.any_diverged(open_)
        if not isinstance(found, LayerError):
            return first, found is None
        first = found
