# SPDX-License-Identifier: Apache-2.0
"""Texts as rows of tokens, by a vocabulary that `vocabulary` has checked.

Words are remembered with their tokens, as most texts are made of few of them. Rows that are
asked for one at a time and together are the same.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from insight_edge.documents.vocabulary import FIRST, SECOND, Vocabulary
from insight_edge.transforms.byte_pairs import BytePairs
from insight_edge.transforms.text_cleaning import cleaned, is_space, words_of
from insight_edge.transforms.word_pieces import WordPieces

REMEMBERED = 2**15
"""Words; they are forgotten all at once, which costs less than to know which is the oldest."""

MOST_CHARACTERS = 64
"""Of a word that is remembered."""

Template = tuple[tuple[int, int], ...]


class Row(NamedTuple):
    """One row without its padding: tokens, and the type of each."""

    tokens: list[int]
    types: list[int]


class Tokenizer:
    """Turns texts into tokens; any number of threads may ask at once."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        numbers = {text: number for number, text in enumerate(vocabulary.tokens) if text}
        kind = WordPieces if vocabulary.kind == "wordpiece" else BytePairs
        self._pieces = kind(vocabulary, numbers)
        self._known: dict[str, tuple[int, ...]] = {}
        self._cleaning, self._split = vocabulary.cleaning, vocabulary.split
        self._leading_space = vocabulary.leading_space
        self._added = {one.text: one for one in vocabulary.added}
        texts = sorted(self._added, key=len, reverse=True)
        self._written = re.compile("|".join(map(re.escape, texts))) if texts else None
        self._single, self._pair = vocabulary.single, vocabulary.pair
        self.pad, self.pad_type = vocabulary.pad, vocabulary.pad_type

    def least(self, *, pair: bool) -> int:
        """Return how many tokens a row has that are of no text."""
        return sum(token >= 0 for token, _ in (self._pair if pair else self._single))

    def row(self, length: int, first: str, second: str | None = None) -> Row:
        """Return one text, or two, as a row of at most `length` tokens.

        Two are cut by turns, the longer first, until both fit.
        """
        room = length - self.least(pair=second is not None)
        if second is None:
            return _arranged(self._single, list(islice(self._tokens(first), room)), [])
        one, other = list(self._tokens(first)), list(self._tokens(second))
        kept, kept_other = shares(len(one), len(other), room)
        return _arranged(self._pair, one[:kept], other[:kept_other])

    def _tokens(self, text: str) -> Iterator[int]:
        at = 0
        for found in self._written.finditer(text) if self._written else ():
            one, start = self._added[found.group()], found.start()
            while one.lstrip and start > at and is_space(text[start - 1]):
                start -= 1
            yield from self._plain(text[at:start])
            yield one.token
            at = found.end()
            while one.rstrip and at < len(text) and is_space(text[at]):
                at += 1
        yield from self._plain(text[at:])

    def _plain(self, text: str) -> Iterator[int]:
        text = cleaned(text, self._cleaning)
        if self._leading_space and text and text[0] != " ":
            text = f" {text}"
        known = self._known
        for word in words_of(text, self._split):
            pieces = known.get(word)
            yield from self._learnt(word) if pieces is None else pieces

    def _learnt(self, word: str) -> tuple[int, ...]:
        pieces = self._pieces(word)
        if len(word) <= MOST_CHARACTERS:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[word] = pieces
        return pieces


def shares(one: int, other: int, room: int) -> tuple[int, int]:
    """Return how many tokens are kept of two texts, the longer one being cut first.

    Where both are cut the longer has the odd one; of two that are as long, the second has.
    """
    if one + other <= room:
        return one, other
    less, more = room // 2, room - room // 2
    if min(one, other) <= less:
        return (one, room - one) if one <= other else (room - other, other)
    return (less, more) if one <= other else (more, less)


def _arranged(template: Template, first: list[int], second: list[int]) -> Row:
    tokens: list[int] = []
    types: list[int] = []
    for token, kind in template:
        part = {FIRST: first, SECOND: second}.get(token, [token])
        tokens += part
        types += [kind] * len(part)
    return Row(tokens, types)
