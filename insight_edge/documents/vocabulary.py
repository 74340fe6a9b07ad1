# SPDX-License-Identifier: Apache-2.0
"""A vocabulary: all that turns a text into the numbers of tokens, in one file of a bundle.

Nothing here computes; `transforms.vocabulary` checks one, `transforms.tokenizer` uses it.
"""

from typing import Literal

from insight_edge.documents.codec import Document, Versioned

Cleaning = Literal[
    "clean", "space-cjk", "strip-marks", "strip-accents", "lower", "nfc", "nfd", "nfkc", "nfkd"
]
"""What is done to a text, in order (rule T30 in docs/formats/transforms.md)."""

Split = Literal["punctuation", "spaces", "bytes"]
"""How a text becomes words (rule T31)."""

FIRST, SECOND = -1, -2
"""In a template, where the tokens of the first and of the second text stand."""


class Added(Document, frozen=True, kw_only=True):
    """A token that is found in a text as it is written, before anything is done to the text.

    Attributes:
        lstrip, rstrip: spaces before or after it belong to it.
    """

    text: str
    token: int
    lstrip: bool = False
    rstrip: bool = False


class Vocabulary(Versioned, frozen=True, kw_only=True):
    """The tokens by number, and how texts are cut into them.

    Attributes:
        kind: `wordpiece` takes the longest token that a word begins with; `bpe` joins the bytes
            of a word pair by pair.
        tokens: by number; a number without a token has an empty text.
        merges: of `bpe`, the numbers of two tokens that are joined, in the order of their rank.
        unknown_token: of `wordpiece`, the token of a word that cannot be made of tokens.
        prefix: of `wordpiece`, what tokens inside a word begin with.
        longest: of `wordpiece`, a word of more characters is unknown.
        leading_space: of `bytes`, a text that does not begin with a space gets one.
        whole: of `bpe`, a word that is a token is not taken apart first.
        single, pair: how one text and two are arranged: a token, `FIRST` or `SECOND`, each with
            its type.
        pad, pad_type: the token after the end, and its type.
    """

    kind: Literal["wordpiece", "bpe"]
    tokens: tuple[str, ...]
    merges: tuple[tuple[int, int], ...] = ()
    unknown_token: int = 0
    prefix: str = ""
    longest: int = 100
    cleaning: tuple[Cleaning, ...] = ()
    split: Split
    leading_space: bool = False
    whole: bool = False
    added: tuple[Added, ...] = ()
    single: tuple[tuple[int, int], ...] = ((FIRST, 0),)
    pair: tuple[tuple[int, int], ...] = ((FIRST, 0), (SECOND, 1))
    pad: int = 0
    pad_type: int = 0
