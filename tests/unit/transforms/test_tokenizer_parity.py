# SPDX-License-Identifier: Apache-2.0
"""Any text against what `tokenizers` makes of it, where that is installed.

Characters are those whose kind has not changed since Unicode 3.2: the package has tables of
another version than Python, and in newer characters the two may differ (docs/formats).
"""

import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.sources.tokenizer_file import vocabulary_from_tokenizer
from insight_edge.transforms.tokenizer import Tokenizer

package: Any = pytest.importorskip("tokenizers")

DATA = Path(__file__).parent / "data"
TELLING = st.sampled_from(
    (
        "don't",
        "'s",
        "'S",
        "  ",
        "\n",
        "\u3000",
        "[MASK]",
        " <mask>",
        "</s>",
        "\x1c",
        "a" * 101,
        "the message",
        "naïve",
        "中文",
        "ﬁ",
        "İ",
        "ΑΣ",
        "1234",
        "½",
    )
)


def steady(character: str) -> bool:
    return unicodedata.category(character) == unicodedata.ucd_3_2_0.category(character) != "Cn"


CHARACTERS = st.characters(max_codepoint=0x2FFFF, exclude_categories=["Cs", "Cn"]).filter(steady)
TEXTS = st.lists(TELLING | st.text(CHARACTERS, max_size=6), max_size=8).map("".join)


@cache
def both(kind: str) -> tuple[Tokenizer, Any]:
    data = (DATA / f"{kind}.json").read_bytes()
    return Tokenizer(vocabulary_from_tokenizer(data)), package.Tokenizer.from_str(data.decode())


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
@given(TEXTS, st.none() | TEXTS, st.integers(6, 60))
def test_any_text_becomes_the_same_tokens(
    kind: str, first: str, second: str | None, length: int
) -> None:
    own, other = both(kind)
    other.enable_truncation(length)
    expected = other.encode(first.replace("\0", ""), second and second.replace("\0", ""))
    found = own.row(length, first.replace("\0", ""), second and second.replace("\0", ""))
    assert (found.tokens, found.types) == (expected.ids, expected.type_ids)
