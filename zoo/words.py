# SPDX-License-Identifier: Apache-2.0
"""Text from packages' own documents: of which package a passage of documentation is.

Passages are runs of words from docstrings. Files are either trained on or proven
on, so no document is in both. Packages' names are taken out, or there would be
nothing to learn.
"""

import ast
import re
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.member import SEED, Data, Rows
from zoo.shipped import packages

PACKAGES = ("aeon", "river", "skimage", "statsmodels")
NAMES = frozenset({*PACKAGES, "scikit", "image", "sm", "io", "api", "datasets"})

VOCABULARY = 4096
"""Words are told apart by a hash of so many values; 0 is none of them."""

LENGTH = 64
STRIDE = 32
VERIFYING = 4
"""One file in so many is proven on."""

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def passages(training: int, verification: int) -> Data:
    """Return passages (n, 64) of word numbers, labelled with the package each is from."""
    random = np.random.default_rng(SEED)
    found: dict[bool, list[list[NDArray[np.int64]]]] = {True: [], False: []}
    for package in PACKAGES:
        own: dict[bool, list[NDArray[np.int64]]] = {True: [], False: []}
        for path in sorted((packages() / package).rglob("*.py")):
            tokens = _tokens(path)
            name = str(path.relative_to(packages()))
            proving = zlib.crc32(name.encode()) % VERIFYING == 0
            starts = range(0, len(tokens) - LENGTH + 1, STRIDE)
            own[proving] += [tokens[start : start + LENGTH] for start in starts]
        for proving, windows in own.items():
            found[proving].append(windows)
    return Data(
        training=_drawn(found[False], training, random),
        verification=_drawn(found[True], verification, random),
        classes=PACKAGES,
    )


def _drawn(
    by_package: list[list[NDArray[np.int64]]], count: int, random: np.random.Generator
) -> Rows:
    """Return as many passages of each package."""
    each = min(count // len(by_package), *(len(windows) for windows in by_package))
    rows, labels = [], []
    for label, windows in enumerate(by_package):
        chosen = random.permutation(len(windows))[:each]
        rows += [windows[index] for index in chosen]
        labels += [label] * each
    order = random.permutation(len(rows))
    return Rows(inputs={"tokens": np.stack(rows)[order]}, labels=np.array(labels, np.int64)[order])


def _tokens(path: Path) -> NDArray[np.int64]:
    words = [word for text in _documents(path) for word in re.findall(r"[a-z]{2,}", text.lower())]
    numbers = [
        1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words if word not in NAMES
    ]
    return np.array(numbers, np.int64)


def _documents(path: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in other people's strings
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            return
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            yield ast.get_docstring(node) or ""
