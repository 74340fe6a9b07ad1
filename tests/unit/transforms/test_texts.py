# SPDX-License-Identifier: Apache-2.0
"""Text against what `tokenizers` 0.23.3 makes of it, and what bad texts and vocabularies meet."""

import json
import time
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from insight_edge.compile.sources.tokenizer_file import vocabulary_from_tokenizer
from insight_edge.documents.codec import decode_json, digest, encode_json
from insight_edge.documents.file_entry import FileEntry
from insight_edge.documents.steps import Tokenize
from insight_edge.documents.tensors import TensorSpec
from insight_edge.documents.vocabulary import Vocabulary
from insight_edge.errors import (
    ConfigurationError,
    DigestMismatchError,
    DocumentError,
    LimitExceededError,
)
from insight_edge.transforms.byte_pairs import ALPHABET, BytePairs
from insight_edge.transforms.executor import infer_specs, run
from insight_edge.transforms.files import rows_from_files
from insight_edge.transforms.texts import MAX_TEXT_BYTES
from insight_edge.transforms.tokenizer import Tokenizer, shares
from insight_edge.transforms.vocabulary import held

DATA = Path(__file__).parent / "data"
RECORDED = json.loads((DATA / "tokenized.json").read_text())
KINDS = ("wordpiece", "bpe")
TEXT = TensorSpec(name="text", dtype="str", shape=("batch",))


@cache
def vocabulary(kind: str) -> Vocabulary:
    return vocabulary_from_tokenizer((DATA / f"{kind}.json").read_bytes())


def step_of(kind: str, **fields: Any) -> tuple[Tokenize, tuple[Tokenizer, ...]]:
    data = encode_json(vocabulary(kind))
    entry = FileEntry(path="v.json", sha256=digest(data)[7:], length_bytes=len(data))
    whole: dict[str, Any] = {
        "source": "text",
        "result": "ids",
        "length": 12,
        "vocabulary": entry,
    } | fields
    step = Tokenize(**whole)
    return step, held([step], lambda _: data)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_become_the_tokens_that_were_recorded(kind: str) -> None:
    for length, first, second, tokens, types in RECORDED[kind]:
        pair = {"pair": "other"} if second is not None else {}
        step, _kept = step_of(kind, length=length, mask="mask", types="types", **pair)
        given_texts = {"text": np.array([first]), "other": np.array([second or ""])}
        made = run([step], given_texts)
        fill = length - len(tokens)
        pad = vocabulary(kind).pad
        assert made["ids"].dtype == np.int64
        assert made["ids"].tolist() == [tokens + [pad] * fill], first
        assert made["types"].tolist() == [types + [0] * fill]
        assert made["mask"].tolist() == [[1] * len(tokens) + [0] * fill]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_files_are_texts_too_and_rows_do_not_depend_on_each_other(kind: str) -> None:
    texts = ["a word", "", "Größe 中", "headers"]
    step, _kept = step_of(kind)
    together = run([step], {"text": np.array(texts)})["ids"]
    of_files = run([step], {"text": rows_from_files([text.encode() for text in texts])})["ids"]
    np.testing.assert_array_equal(together, of_files)
    alone = [run([step], {"text": np.array([text])})["ids"] for text in texts]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_rows_that_are_no_text_are_refused_by_their_number() -> None:
    step, _kept = step_of("wordpiece")
    with pytest.raises(DocumentError, match=r"^row 1: 'text': not UTF-8 at byte 2$"):
        run([step], {"text": rows_from_files([b"fine", b"ab\xffc"])})
    with pytest.raises(LimitExceededError, match="row 0: 'text': longer than 262144 bytes"):
        run([step], {"text": rows_from_files([b"a" * (MAX_TEXT_BYTES + 1)])})
    with pytest.raises(LimitExceededError, match="row 0: 'text': longer than 262144 characters"):
        run([step], {"text": np.array(["a" * (MAX_TEXT_BYTES + 1)])})


@pytest.mark.parametrize("kind", KINDS)
def test_longest_text_takes_no_longer_than_its_length(kind: str) -> None:
    step, _kept = step_of(kind)
    text = np.array(["ab" * (MAX_TEXT_BYTES // 4)])
    before = time.process_time()
    run([step], {"text": text})
    assert time.process_time() - before < 10, "joined in a time that grows with its square"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"length": 2}, "a length of 2: from 3, as 2 tokens are of no text"),
        ({"length": 3, "pair": "text"}, "a length of 3: from 4, as 3"),
        ({"length": 1 << 20}, "to 131072"),
        ({"source": "ids"}, r"'ids' is int64 \['batch', 4\], not text"),
        ({"vocabulary": None}, "the vocabulary of a step was not read"),
    ],
)
def test_step_that_does_not_fit_is_refused(fields: dict[str, Any], message: str) -> None:
    step, _kept = step_of("wordpiece", **fields)
    numbers = TensorSpec(name="ids", dtype="int64", shape=("batch", 4))
    with pytest.raises(ConfigurationError, match=f"^step 0 \\(tokenize\\): .*{message}"):
        infer_specs([step], [TEXT, numbers])


def test_tokenizer_that_nobody_keeps_is_forgotten() -> None:
    step, kept = step_of("bpe", mask="mask")
    assert [spec.name for spec in infer_specs([step], [TEXT])] == ["text", "ids", "mask"]
    del kept
    with pytest.raises(ConfigurationError, match="was not read"):
        infer_specs([step], [TEXT])


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("wordpiece", {"tokens": ()}, "0 tokens"),
        ("wordpiece", {"tokens": ("a", "a")}, "two tokens are the same"),
        ("wordpiece", {"tokens": ("a" * 513,)}, "more than 512 characters"),
        ("wordpiece", {"pad": 600}, "there is no token 600, it has 600"),
        ("wordpiece", {"unknown_token": -1}, "there is no token -1"),
        ("wordpiece", {"single": ((2, 0), (3, 0))}, "each text once"),
        ("wordpiece", {"pair": ((-1, 0), (-2, 0), (-2, 0))}, "each text once"),
        ("bpe", {"merges": ((5, 700),)}, "there is no token 700"),
        ("bpe", {"merges": ((0, 0),)}, "tokens 0 and 0 are joined to none"),
        ("bpe", {"tokens": ("a", "b", "c", "d", "e")}, "there is no token"),
        ("bpe", {"split": "spaces"}, "not split as bytes"),
    ],
)
def test_damaged_vocabulary_is_refused_in_a_line(
    kind: str, changes: dict[str, Any], message: str
) -> None:
    data = encode_json(msgspec.structs.replace(vocabulary(kind), **changes))
    entry = FileEntry(path="v.json", sha256=digest(data)[7:], length_bytes=len(data))
    step = Tokenize(source="text", result="ids", length=9, vocabulary=entry)
    with pytest.raises(DocumentError, match=f"^'v.json': .*{message}") as caught:
        held([step], lambda _: data)
    assert "\n" not in str(caught.value)
    with pytest.raises(DigestMismatchError, match="SHA-256"):
        held([step], lambda _: data + b" ")


@pytest.mark.parametrize("kind", KINDS)
def test_vocabulary_survives_its_file(kind: str) -> None:
    assert decode_json(Vocabulary, encode_json(vocabulary(kind))) == vocabulary(kind)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("model", "type"), "Unigram", "the model Unigram is not done here"),
        (("model", "dropout"), 0.1, "BPE with dropout"),
        (("model", "byte_fallback"), True, "BPE with byte_fallback"),
        (("pre_tokenizer",), {"type": "Metaspace"}, "the pre_tokenizer Metaspace"),
        (("pre_tokenizer",), None, "the pre_tokenizer none"),
        (("pre_tokenizer", "use_regex"), False, "without use_regex"),
        (("normalizer",), {"type": "Precompiled"}, "the normalizer Precompiled"),
        (("post_processor",), {"type": "Odd"}, "the post_processor Odd"),
        (("padding",), {"direction": "Left"}, "padding of direction Left"),
        (("added_tokens", 0, "single_word"), True, "'<s>' with single_word"),
        (("added_tokens", 4, "id"), 9, "two tokens have the number 9"),
        (("added_tokens", 1, "content"), "<fill>", "two tokens have the number 1"),
        (("model", "vocab"), 7, "not a tokenizer.json: TypeError"),
        (("model", "merges"), [["a", "\u0142\u0142"]], "not a tokenizer.json: KeyError"),
    ],
)
def test_tokenizer_with_something_unknown_is_refused_by_name(
    path: tuple[Any, ...], value: object, message: str
) -> None:
    plain = json.loads((DATA / "bpe.json").read_text())
    place = plain
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DocumentError, match=message) as caught:
        vocabulary_from_tokenizer(json.dumps(plain).encode())
    assert "\n" not in str(caught.value)


def test_token_that_fills_rows_has_to_be_known() -> None:
    data = (DATA / "bpe.json").read_bytes()
    assert vocabulary_from_tokenizer(data, pad="</s>").pad == 2
    with pytest.raises(DocumentError, match="no token 'none such' to fill rows"):
        vocabulary_from_tokenizer(data, pad="none such")
    with pytest.raises(DocumentError, match="names no token that fills rows") as caught:
        vocabulary_from_tokenizer(data.replace(b"<pad>", b"<non>"))
    assert "pad =" in str(caught.value.hint)


def joined_by_definition(parts: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Join the pair of the lowest rank, the first of them, until there is none."""
    while True:
        pairs = [(ranks[pair], at) for at, pair in enumerate(pairwise(parts))
                 if pair in ranks]  # fmt: skip
        if not pairs:
            return parts
        _, at = min(pairs)
        parts = [*parts[:at], parts[at] + parts[at + 1], *parts[at + 2 :]]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12), st.text("abc"))
def test_pairs_are_joined_as_defined(drawn: list[tuple[int, int]], word: str) -> None:
    tokens = list(ALPHABET)
    numbers = {text: number for number, text in enumerate(tokens)}
    letters = [numbers[letter] for letter in "abc"]
    merges: list[tuple[int, int]] = []
    for one, other in drawn:
        left, right = ((*letters, *range(256, len(tokens)))[n % (3 + len(merges))]
                       for n in (one, other))  # fmt: skip
        if tokens[left] + tokens[right] not in numbers:
            numbers[tokens[left] + tokens[right]] = len(tokens)
            tokens.append(tokens[left] + tokens[right])
            merges.append((left, right))
    made = Vocabulary(kind="bpe", tokens=tuple(tokens), merges=tuple(merges), split="bytes")
    ranks = {(tokens[a], tokens[b]): rank for rank, (a, b) in enumerate(merges)}
    found = [tokens[number] for number in BytePairs(made, numbers)(word)]
    assert found == joined_by_definition(list(word), ranks)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_two_texts_share_the_room(one: int, other: int, room: int) -> None:
    kept, kept_other = shares(one, other, room)
    assert 0 <= kept <= one
    assert 0 <= kept_other <= other
    assert kept + kept_other == min(room, one + other)
    if kept < one and kept_other < other:
        assert abs(kept - kept_other) <= 1


def ids(kind: str, texts: list[str]) -> NDArray[np.int64]:
    step, _kept = step_of(kind)
    made: NDArray[np.int64] = run([step], {"text": np.array(texts)})["ids"]
    return made


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(st.lists(st.text(st.sampled_from("ab '.\n\x1c中é½①\u0301[]<>/s"), max_size=12), min_size=1))
def test_any_text_is_taken(kind: str, texts: list[str]) -> None:
    made = ids(kind, texts)
    assert made.shape == (len(texts), 12)
    assert made.min() >= 0
    assert made.max() < len(vocabulary(kind).tokens)
