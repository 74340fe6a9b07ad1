# SPDX-License-Identifier: Apache-2.0
"""What the step on text computes and makes of a spec (rules T29 to T33 in the format).

Importing this teaches `arithmetic.apply` and `shapes.result_spec` the step.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.documents.steps import Tokenize
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, DocumentError, LimitExceededError
from insight_edge.transforms.arithmetic import apply
from insight_edge.transforms.files import takes_files
from insight_edge.transforms.shapes import TEXT, result_spec
from insight_edge.transforms.vocabulary import tokenizer_of

MAX_TEXT_BYTES = 2**18
"""Of a row; a model takes a page of it, and one word as long takes a second."""

MAX_LENGTH = 2**17
"""Tokens of a row."""


@result_spec.register
def _spec(step: Tokenize, *specs: TensorSpec) -> tuple[TensorSpec, ...]:
    for spec in specs:
        if not takes_files(spec) and not (spec.dtype == TEXT and len(spec.shape) == 1):
            raise ConfigurationError(
                f"'{spec.name}' is {spec.dtype} {list(spec.shape)}, not text",
                hint='declare the input with dtype = "str" and shape = ["batch"]',
            )
    least = tokenizer_of(step).least(pair=bool(step.pair))
    if not least < step.length <= MAX_LENGTH:
        raise ConfigurationError(
            f"a length of {step.length}: from {least + 1}, as {least} tokens are of no text, "
            f"to {MAX_LENGTH}"
        )
    shape = (specs[0].shape[0], step.length)
    return tuple(TensorSpec(name=name, dtype="int64", shape=shape) for name in step.writes)


@apply.register
def _tokenize(step: Tokenize, *arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    tokenizer = tokenizer_of(step)
    shape = (len(arrays[0]), step.length)
    tokens = np.full(shape, tokenizer.pad, np.int64)
    mask, types = np.zeros(shape, np.int64), np.full(shape, tokenizer.pad_type, np.int64)
    sides = [_texts(name, array) for name, array in zip(step.reads, arrays, strict=True)]
    for number, texts in enumerate(zip(*sides, strict=True)):
        row = tokenizer.row(step.length, *texts)
        size = len(row.tokens)
        tokens[number, :size], mask[number, :size], types[number, :size] = row.tokens, 1, row.types
    wanted = ((step.result, tokens), (step.mask, mask), (step.types, types))
    return tuple(array for name, array in wanted if name)


def _texts(name: str, array: NDArray[Any]) -> Iterator[str]:
    """Yield the text of each row.

    Raises:
        DocumentError: a row is not UTF-8.
        LimitExceededError: one is longer than is read.
    """
    for number, row in enumerate(array):
        where = f"row {number}: '{name}'"
        text = str(row) if array.dtype.kind == "U" else _decoded(where, row)
        if len(text) > MAX_TEXT_BYTES:
            raise LimitExceededError(f"{where}: longer than {MAX_TEXT_BYTES} characters")
        yield text


def _decoded(where: str, row: NDArray[Any]) -> str:
    data = row.tobytes().rstrip(b"\0")
    if len(data) > MAX_TEXT_BYTES:
        raise LimitExceededError(f"{where}: longer than {MAX_TEXT_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(f"{where}: not UTF-8 at byte {error.start}") from error
