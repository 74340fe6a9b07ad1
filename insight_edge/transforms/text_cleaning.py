# SPDX-License-Identifier: Apache-2.0
"""A text put right and cut into words (rules T30 and T31 in docs/formats/transforms.md).

Characters are looked up in tables that fill as characters are met: a text costs a pass in C for
each step. Which tokens a word is made of is not known here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from insight_edge.documents.vocabulary import Cleaning, Split

_SPACES: Final = frozenset(
    map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)))
) | set("\u2028\u2029\u202f\u205f\u3000")
"""Unicode's White_Space; Python's own notion has four separators more."""

_IDEOGRAPHS: Final = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
"""Blocks whose characters are words of their own."""

_ASCII_SIGNS: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class _Table(dict[int, str]):
    """For `str.translate`: each character's replacement, worked out when it is first met."""

    def __init__(self, replacement: Callable[[str], str]) -> None:
        self._replacement = replacement

    def __missing__(self, point: int) -> str:
        return self.setdefault(point, self._replacement(chr(point)))


def cleaned(text: str, steps: Iterable[Cleaning]) -> str:
    """Return the text after the steps, in order."""
    for step in steps:
        text = _STEPS[step](text)
    return text


def words_of(text: str, split: Split) -> list[str]:
    """Return the words of a text; of `bytes` they are the whole text, spaces included."""
    if split == "bytes":
        kinds = text.translate(_KINDS)
        return [text[found.start() : found.end()] for found in _PIECES.finditer(kinds)]
    spread = text.translate(_SPREAD if split == "punctuation" else _BLANKS)
    return [word for word in spread.split(" ") if word]


def is_space(character: str) -> bool:
    """Return whether a character is white space, as Unicode has it."""
    return character in _SPACES


def _clean(character: str) -> str:
    if character in "\t\n\r" or character in _SPACES:
        return "" if character in "\x0b\x0c\x85" else " "
    gone = character == "\ufffd" or unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs"}
    return "" if gone else character


def _apart(character: str) -> str:
    point = ord(character)
    alone = any(first <= point <= last for first, last in _IDEOGRAPHS)
    return f" {character} " if alone else character


def _spread(character: str) -> str:
    if character in _SPACES:
        return " "
    sign = character in _ASCII_SIGNS or unicodedata.category(character)[0] == "P"
    return f" {character} " if sign else character


def _kind(character: str) -> str:
    """Return a character that stands for all of its kind in `_PIECES`."""
    if character in " '" or character in _SUFFIX_LETTERS:
        return character
    if character in _SPACES:
        return "\n"
    return {"L": "L", "N": "0"}.get(unicodedata.category(character)[0], ".")


_SUFFIX_LETTERS: Final = "strevmld"
_PIECES: Final = re.compile(
    r"'(?:[stmd]|re|ve|ll)| ?[Lstrevmld]+| ?0+| ?[.']+|[ \n]+(?![^ \n])|[ \n]+"
)
"""English contractions, then words, numbers and signs with the space before them, then spaces but
the last before a word: over the kinds of characters rather than the characters."""

_SPREAD, _BLANKS, _KINDS = (
    _Table(_spread),
    _Table(lambda c: " " if c in _SPACES else c),
    _Table(_kind),
)
_CLEAN, _APART, _LOWER = _Table(_clean), _Table(_apart), _Table(str.lower)
_UNMARKED = _Table(lambda c: "" if unicodedata.category(c) == "Mn" else c)
_UNACCENTED = _Table(lambda c: "" if unicodedata.category(c)[0] == "M" else c)

_STEPS: Final[Mapping[Cleaning, Callable[[str], str]]] = MappingProxyType(
    {
        "clean": lambda text: text.translate(_CLEAN),
        "space-cjk": lambda text: text.translate(_APART),
        "strip-marks": lambda text: unicodedata.normalize("NFD", text).translate(_UNMARKED),
        "strip-accents": lambda text: text.translate(_UNACCENTED),
        "lower": lambda text: text.translate(_LOWER),
        "nfc": lambda text: unicodedata.normalize("NFC", text),
        "nfd": lambda text: unicodedata.normalize("NFD", text),
        "nfkc": lambda text: unicodedata.normalize("NFKC", text),
        "nfkd": lambda text: unicodedata.normalize("NFKD", text),
    }
)
