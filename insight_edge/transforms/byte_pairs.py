# SPDX-License-Identifier: Apache-2.0
"""A word as tokens, made of its bytes by joining two neighbours at a time, lowest rank first.

A byte is written as a character that can be seen: itself where it is one, else one beyond U+0100.
"""

import heapq
from collections.abc import Mapping
from typing import Final

from insight_edge.documents.vocabulary import Vocabulary

Pieces = tuple[int, ...]

_SEEN: Final = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_UNSEEN: Final = tuple(sorted(set(range(256)) - set(_SEEN)))

ALPHABET: Final = tuple(
    chr(byte) if byte in _SEEN else chr(0x100 + _UNSEEN.index(byte)) for byte in range(256)
)
"""What a byte is written as."""


class BytePairs:
    """Joins bytes by the merges of a vocabulary that has all of `ALPHABET`."""

    def __init__(self, vocabulary: Vocabulary, numbers: Mapping[str, int]) -> None:
        self._numbers = numbers
        self._bytes = tuple(numbers[character] for character in ALPHABET)
        tokens = vocabulary.tokens
        self._merges = {
            (left, right): (rank, numbers[tokens[left] + tokens[right]])
            for rank, (left, right) in enumerate(vocabulary.merges)
        }
        self._whole = vocabulary.whole

    def __call__(self, word: str) -> Pieces:
        """Return the tokens of a word."""
        data = word.encode()
        if self._whole:
            number = self._numbers.get("".join(ALPHABET[byte] for byte in data))
            if number is not None:
                return (number,)
        return self._joined([self._bytes[byte] for byte in data])

    def _joined(self, parts: list[int | None]) -> Pieces:
        """Join neighbours in place; a place whose part went into the one before it is None."""
        before = list(range(-1, len(parts) - 1))
        after = list(range(1, len(parts) + 1))
        waiting = [
            (*merge, at)
            for at in range(len(parts) - 1)
            if (merge := self._merge(parts[at], parts[at + 1]))
        ]
        heapq.heapify(waiting)
        while waiting:
            rank, made, at = heapq.heappop(waiting)
            other = after[at]
            if other >= len(parts) or self._merge(parts[at], parts[other]) != (rank, made):
                continue  # one of the two was joined with another meanwhile
            parts[at], parts[other] = made, None
            after[at] = after[other]
            if after[at] < len(parts):
                before[after[at]] = at
            for left, right in ((before[at], at), (at, after[at])):
                if left >= 0 and right < len(parts):
                    merge = self._merge(parts[left], parts[right])
                    if merge:
                        heapq.heappush(waiting, (*merge, left))
        return tuple(part for part in parts if part is not None)

    def _merge(self, left: int | None, right: int | None) -> tuple[int, int] | None:
        if left is None or right is None:
            return None
        return self._merges.get((left, right))
