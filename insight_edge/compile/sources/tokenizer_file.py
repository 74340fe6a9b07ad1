# SPDX-License-Identifier: Apache-2.0
"""The vocabulary in a `tokenizer.json`, the file that Hugging Face's `tokenizers` writes.

What of it changes no token on the device is left out: its own truncation and padding (a step
says its length) and its decoder. What is not known here is refused by its name, as a vocabulary
that is nearly the model's own makes answers that are nearly right. The vocabulary itself is
checked by `transforms.vocabulary`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from insight_edge.compile.sources.tokenizer_template import templates
from insight_edge.documents.vocabulary import Added, Cleaning, Split, Vocabulary
from insight_edge.errors import DocumentError

Part = Mapping[str, Any]

MAX_TOKENIZER_BYTES = 64 * 2**20

PADS = ("[PAD]", "<pad>")
"""Tokens that fill rows where the file does not name one."""

_CLEANING: Mapping[str, tuple[Cleaning, ...]] = {
    "Lowercase": ("lower",),
    "StripAccents": ("strip-accents",),
    "NFC": ("nfc",),
    "NFD": ("nfd",),
    "NFKC": ("nfkc",),
    "NFKD": ("nfkd",),
}

_SPLITS: Mapping[str, Split] = {
    "BertPreTokenizer": "punctuation",
    "WhitespaceSplit": "spaces",
    "ByteLevel": "bytes",
}


def vocabulary_from_tokenizer(data: bytes, *, pad: str = "") -> Vocabulary:
    """Return the vocabulary in the bytes of a `tokenizer.json`.

    Args:
        data: of the file.
        pad: the token that fills rows, where the file says none or another is meant.

    Raises:
        DocumentError: not such a file, or one with something that is not done here; it is named.
    """
    try:
        plain = msgspec.json.decode(data, type=dict[str, Any])
        return _vocabulary(plain, pad)
    except (
        msgspec.MsgspecError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise DocumentError(
            f"not a tokenizer.json: {type(error).__name__}: {error}".splitlines()[0]
        ) from error


def _vocabulary(plain: Part, pad: str) -> Vocabulary:
    model = plain["model"]
    kinds = {"WordPiece": _word_pieces, "BPE": _byte_pairs}
    kind = model.get("type") or ("BPE" if "merges" in model else "WordPiece")
    if kind not in kinds:
        raise _not_done(f"the model {kind}", hint="WordPiece and byte-level BPE are")
    numbers: dict[str, int] = dict(model["vocab"])
    added = tuple(_added(one, plain.get("normalizer")) for one in plain.get("added_tokens") or ())
    numbers.update({one.text: one.token for one in added})
    split, leading_space = _split(plain.get("pre_tokenizer"))
    single, pair = templates(list(_flat(plain.get("post_processor"), "processors")))
    filled, pad_type = _padding(plain.get("padding"), numbers, pad)
    return Vocabulary(
        tokens=_by_number(numbers),
        cleaning=tuple(name for one in _flat(plain.get("normalizer"), "normalizers")
                       for name in _cleaning(one)),
        split=split,
        leading_space=leading_space,
        added=added,
        single=single,
        pair=pair,
        pad=filled,
        pad_type=pad_type,
        **kinds[kind](model, numbers, split),
    )  # fmt: skip


def _by_number(numbers: Mapping[str, int]) -> tuple[str, ...]:
    most = max(numbers.values(), default=-1) + 1
    if min(numbers.values(), default=0) < 0 or most > 4 * len(numbers) + 4096:
        raise DocumentError(f"{len(numbers)} tokens, numbered up to {most - 1}")
    texts = [""] * most
    for text, number in numbers.items():
        if texts[number]:
            raise DocumentError(f"two tokens have the number {number}")
        texts[number] = text
    return tuple(texts)


def _word_pieces(model: Part, numbers: Mapping[str, int], split: Split) -> dict[str, Any]:
    if split == "bytes":
        raise _not_done("WordPiece of bytes")
    return {
        "kind": "wordpiece",
        "unknown_token": numbers[model["unk_token"]],
        "prefix": model["continuing_subword_prefix"],
        "longest": model["max_input_chars_per_word"],
    }


def _byte_pairs(model: Part, numbers: Mapping[str, int], split: Split) -> dict[str, Any]:
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(name):
            raise _not_done(f"BPE with {name}")
    if split != "bytes":
        raise _not_done("BPE that is not of bytes")
    pairs = (one.split(" ") if isinstance(one, str) else one for one in model["merges"])
    return {
        "kind": "bpe",
        "merges": tuple((numbers[left], numbers[right]) for left, right in pairs),
        "whole": bool(model.get("ignore_merges")),
    }


def _added(one: Part, normalizer: Part | None) -> Added:
    text = one["content"]
    if one.get("single_word"):
        raise _not_done(f"the added token '{text}' with single_word")
    if one.get("normalized") and normalizer is not None:
        raise _not_done(f"the added token '{text}' with normalized")
    return Added(text=text, token=one["id"], lstrip=bool(one["lstrip"]), rstrip=bool(one["rstrip"]))


def _cleaning(one: Part) -> Iterator[Cleaning]:
    if one["type"] != "BertNormalizer":
        if one["type"] not in _CLEANING:
            raise _not_done(f"the normalizer {one['type']}")
        yield from _CLEANING[one["type"]]
        return
    lower, accents = one["lowercase"], one.get("strip_accents")
    steps: tuple[tuple[Cleaning, bool], ...] = (
        ("clean", one["clean_text"]),
        ("space-cjk", one["handle_chinese_chars"]),
        ("strip-marks", lower if accents is None else accents),
        ("lower", lower),
    )
    yield from (name for name, wanted in steps if wanted)


def _split(found: Part | None) -> tuple[Split, bool]:
    parts = list(_flat(found, "pretokenizers"))
    if len(parts) != 1 or parts[0]["type"] not in _SPLITS:
        names = ", ".join(one["type"] for one in parts) or "none"
        raise _not_done(f"the pre_tokenizer {names}", hint=f"one of {', '.join(_SPLITS)} is")
    [part] = parts
    if part["type"] == "ByteLevel" and not part.get("use_regex", True):
        raise _not_done("the pre_tokenizer ByteLevel without use_regex")
    return _SPLITS[part["type"]], bool(part.get("add_prefix_space"))


def _padding(found: Part | None, numbers: Mapping[str, int], pad: str) -> tuple[int, int]:
    if pad:
        if pad not in numbers:
            raise DocumentError(f"there is no token '{pad}' to fill rows with")
        return numbers[pad], 0
    if found is not None:
        if found["direction"] != "Right":
            raise _not_done(f"padding of direction {found['direction']}")
        return int(found["pad_id"]), int(found["pad_type_id"])
    for name in PADS:
        if name in numbers:
            return numbers[name], 0
    raise DocumentError(
        "it names no token that fills rows", hint='say which in the step: pad = "<the token>"'
    )


def _flat(part: Part | None, key: str) -> Iterator[Part]:
    """Yield the parts of a sequence one after the other, or the one there is."""
    if part is None:
        return
    if part["type"] != "Sequence":
        yield part
        return
    for one in part[key]:
        yield from _flat(one, key)


def _not_done(what: str, *, hint: str | None = None) -> DocumentError:
    return DocumentError(f"{what} is not done here", hint=hint)
