# SPDX-License-Identifier: Apache-2.0
"""Vocabularies from the files of bundles: checked once, and found again by their digest.

Steps name a vocabulary by its file's digest. Whoever runs steps reads what they name with `held`
and keeps what it returns: a tokenizer that nobody keeps is forgotten.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final
from weakref import WeakValueDictionary

from insight_edge.documents.codec import decode_json
from insight_edge.documents.codec import digest as digest_of
from insight_edge.documents.file_entry import FileEntry
from insight_edge.documents.steps import AnyStep, Tokenize
from insight_edge.documents.vocabulary import FIRST, SECOND, Vocabulary
from insight_edge.errors import ConfigurationError, DigestMismatchError, DocumentError
from insight_edge.transforms.byte_pairs import ALPHABET
from insight_edge.transforms.tokenizer import Tokenizer

MAX_TOKENS: Final = 2**19
"""Twice those of the largest vocabularies that are about."""

MAX_TOKEN_CHARACTERS: Final = 512

MAX_PARTS: Final = 16
"""Of a template."""

_known: WeakValueDictionary[str, Tokenizer] = WeakValueDictionary()


def held(steps: Iterable[AnyStep], read: Callable[[FileEntry], bytes]) -> tuple[Tokenizer, ...]:
    """Return the tokenizers that steps need; `tokenizer_of` finds them as long as they are kept.

    Args:
        steps: of a manifest or a description.
        read: returns the bytes of a file.

    Raises:
        DigestMismatchError: a file's bytes are not those that the step names.
        DocumentError: a vocabulary is malformed or damaged, or a step names none.
    """
    return tuple(
        _held(step.vocabulary, read)
        for step in steps
        if isinstance(step, Tokenize) and step.vocabulary is not None
    )


def tokenizer_of(step: Tokenize) -> Tokenizer:
    """Return the tokenizer of a step.

    Raises:
        ConfigurationError: nobody has read its vocabulary.
    """
    found = None if step.vocabulary is None else _known.get(step.vocabulary.sha256)
    if found is None:
        raise ConfigurationError("the vocabulary of a step was not read")
    return found


def check(vocabulary: Vocabulary) -> None:
    """Refuse a vocabulary that cannot be used.

    Raises:
        DocumentError: the first thing wrong with it.
    """
    tokens = vocabulary.tokens
    if not 0 < len(tokens) <= MAX_TOKENS:
        raise _damaged(f"{len(tokens)} tokens, 1 to {MAX_TOKENS} are taken")
    if max(map(len, tokens)) > MAX_TOKEN_CHARACTERS:
        raise _damaged(f"a token of more than {MAX_TOKEN_CHARACTERS} characters")
    texts = set(filter(None, tokens))
    if len(texts) != sum(map(bool, tokens)):
        raise _damaged("two tokens are the same")
    _check_numbers(vocabulary)
    if vocabulary.kind == "bpe":
        _check_pairs(vocabulary, texts)
    if any(not one.text for one in vocabulary.added):
        raise _damaged("an added token is empty")
    for template, wanted in ((vocabulary.single, [FIRST]), (vocabulary.pair, [SECOND, FIRST])):
        places = sorted(token for token, _ in template if token < 0)
        if places != wanted or len(template) > MAX_PARTS:
            raise _damaged("a template that does not hold each text once")


def _held(entry: FileEntry, read: Callable[[FileEntry], bytes]) -> Tokenizer:
    found = _known.get(entry.sha256)
    if found is None:
        data = read(entry)
        if digest_of(data) != f"sha256:{entry.sha256}":
            raise DigestMismatchError(f"'{entry.path}': its SHA-256 is not the manifest's")
        try:
            vocabulary = decode_json(Vocabulary, data)
            check(vocabulary)
        except DocumentError as error:
            raise type(error)(f"'{entry.path}': {error}", hint=error.hint) from error
        found = _known[entry.sha256] = Tokenizer(vocabulary)
    return found


def _check_numbers(vocabulary: Vocabulary) -> None:
    """Refuse a number that is no token's."""
    parts: Sequence[tuple[int, int]] = (*vocabulary.single, *vocabulary.pair)
    named = chain(
        (vocabulary.unknown_token, vocabulary.pad),
        (one.token for one in vocabulary.added),
        (token for token, _ in parts if token not in {FIRST, SECOND}),
        chain.from_iterable(vocabulary.merges),
    )
    most = len(vocabulary.tokens)
    for number in named:
        if not 0 <= number < most:
            raise _damaged(f"there is no token {number}, it has {most}")


def _check_pairs(vocabulary: Vocabulary, texts: set[str]) -> None:
    if vocabulary.split != "bytes":
        raise _damaged("pairs of bytes in words that are not split as bytes")
    if not texts.issuperset(ALPHABET):
        raise _damaged("a byte without a token")
    tokens = vocabulary.tokens
    for left, right in vocabulary.merges:
        if tokens[left] + tokens[right] not in texts:
            raise _damaged(f"tokens {left} and {right} are joined to none")


def _damaged(what: str) -> DocumentError:
    return DocumentError(f"a vocabulary that cannot be used: {what}")
