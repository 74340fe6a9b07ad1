# SPDX-License-Identifier: Apache-2.0
"""Rows of a file: .npz and .npy of arrays, .jsonl of objects or lists, .csv of numbers."""

import csv
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from numpy.lib.format import open_memmap

from insight_edge.bundle.npz import arrays_from_npz
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import DocumentError
from insight_edge.streaming.seam import Item, Value

MAX_BYTES = 8 * 2**30
MAX_ARRAYS = 1024
MAX_LINE = 64 * 2**20

Rows = Generator[Item | None, None, None]


def rows_of(path: Path, inputs: tuple[TensorSpec, ...]) -> Rows | None:
    """Return the rows of a file, None where it is of another kind.

    What is wrong with a line is the row's own: `inputs_of` refuses that row.

    Args:
        path: of the file.
        inputs: of the bundle; columns of a .csv go by their names, where it has a line of them.
    """
    readers: dict[str, Callable[[], Iterator[Value]]] = {
        ".npz": lambda: _npz(path, inputs),
        ".npy": lambda: iter(open_memmap(path, mode="r")),
        ".jsonl": lambda: _json_lines(path),
        ".csv": lambda: _csv(path, inputs),
    }
    read = readers.get(path.suffix.lower())
    return None if read is None else _numbered(path, read)


def _numbered(path: Path, read: Callable[[], Iterator[Value]]) -> Rows:
    for number, value in enumerate(read()):
        yield Item(f"{path.name}:{number}", value)


def _npz(path: Path, inputs: tuple[TensorSpec, ...]) -> Iterator[Value]:
    arrays = arrays_from_npz(path.read_bytes(), max_bytes=MAX_BYTES, max_arrays=MAX_ARRAYS)
    for spec in inputs:
        if spec.name not in arrays:
            there = ", ".join(arrays) or "nothing"
            raise DocumentError(f"input '{spec.name}' is missing, it holds {there}")
    named = {spec.name: arrays[spec.name] for spec in inputs}
    for number in range(min(len(rows) for rows in named.values())):
        yield {name: rows[number] for name, rows in named.items()}


def _json_lines(path: Path) -> Iterator[Value]:
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise DocumentError(f"{path}: a line of more than {MAX_LINE} bytes")
            if line.strip():
                yield line


def _csv(path: Path, inputs: tuple[TensorSpec, ...]) -> Iterator[Value]:
    with path.open(newline="", encoding="utf-8") as file:
        names: list[str] | None = None
        for number, cells in enumerate(csv.reader(file)):
            if number == 0 and not _numeric(cells):
                names = [cell.strip() for cell in cells]
            elif cells:
                yield _named(names, cells, inputs)


def _named(names: list[str] | None, cells: list[str], inputs: tuple[TensorSpec, ...]) -> Value:
    if names is not None and {spec.name for spec in inputs} <= set(names):
        by_name: dict[str, Any] = dict(zip(names, cells, strict=False))
        return {spec.name: [by_name.get(spec.name)] for spec in inputs}
    return cells


def _numeric(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return True
