# SPDX-License-Identifier: Apache-2.0
"""A word as tokens, each the longest that what is left of it begins with."""

from collections.abc import Mapping

from insight_edge.documents.vocabulary import Vocabulary

Pieces = tuple[int, ...]


class WordPieces:
    """Cuts words by a vocabulary of pieces."""

    def __init__(self, vocabulary: Vocabulary, numbers: Mapping[str, int]) -> None:
        self._numbers, self._prefix = numbers, vocabulary.prefix
        self._longest, self._unknown = vocabulary.longest, (vocabulary.unknown_token,)
        self._widest = max(map(len, numbers))

    def __call__(self, word: str) -> Pieces:
        """Return the tokens of a word, the unknown one alone where some of it fits none."""
        if len(word) > self._longest:
            return self._unknown
        found, start = [], 0
        while start < len(word):
            number, start = self._first(word, start)
            if number is None:
                return self._unknown
            found.append(number)
        return tuple(found)

    def _first(self, word: str, start: int) -> tuple[int | None, int]:
        """Return the longest token at `start`, and where it ends."""
        prefix = self._prefix if start else ""
        for end in range(min(len(word), start + self._widest), start, -1):
            number = self._numbers.get(prefix + word[start:end])
            if number is not None:
                return number, end
        return None, start
