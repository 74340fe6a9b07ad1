# SPDX-License-Identifier: Apache-2.0
"""Verb `run`: put named arrays, or rows that come by themselves, through a bundle."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from insight_edge.bundle.open import open_bundle
from insight_edge.cli.arrays import Arrays, read_arrays, read_file, write_arrays
from insight_edge.cli.run_source import Streaming, stream
from insight_edge.cli.screen import err
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import ConfigurationError, TensorMismatchError
from insight_edge.runtime.infer import Runtime
from insight_edge.streaming.buffer import Policy
from insight_edge.transforms.files import rows_from_files, takes_files

CHUNK_ROWS = 64
"""Rows a call where the batch dimension is free."""


def run(
    bundle: Path,
    *,
    input: Annotated[  # noqa: A002 - the flag is --input
        list[Path] | None, Parameter(name=["--input"])
    ] = None,
    source: str | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    queue: int = 8,
    drop: Policy = "block",
    limit: int | None = None,
    variant: str | None = None,
    threads: int | None = None,
) -> None:
    """Run a bundle on the arrays of an .npz and write its outputs as another, or on a source.

    A source's answers are lines of JSON, one a row, until it ends or SIGINT or SIGTERM comes; what
    became of all rows is told on stderr. Unsigned bundles are allowed here; a fleet never runs one.

    Args:
        bundle: directory of the bundle.
        input: .npz with one array for each input of the bundle, rows first; or files, each given
            with its own --input, where the bundle takes files: they are its rows.
        source: where rows come from: folder:PATH, file:PATH, v4l2:DEVICE or mqtt:HOST:PORT/TOPIC.
        output: .npz that gets one array for each output; of a source the file that gets the lines,
            stdout by default.
        queue: rows of a source that wait at most.
        drop: what happens where so many wait: the source does (block), or rows are dropped.
        limit: answers after which a source is left.
        variant: which variant; the winner by default.
        threads: inference threads; as many as this process may use by default.
    """
    if (input is None) == (source is None):
        raise ConfigurationError("run on --input or on a --source, one of them")
    if source is not None:
        scheme = Streaming(source, queue=queue, policy=drop, limit=limit)
        return stream(bundle, scheme, output, variant=variant, threads=threads)
    if output is None:
        raise ConfigurationError("nothing says where the outputs go", hint="-o outputs.npz")
    _run_once(bundle, input or [], output, variant=variant, threads=threads)
    return None


def _run_once(
    bundle: Path, paths: list[Path], output: Path, *, variant: str | None, threads: int | None
) -> None:
    opened = open_bundle(bundle, allow_unsigned=True)
    specs = opened.manifest.io.inputs
    arrays = _arrays(paths, specs)
    count = _rows(paths[0], arrays)
    fixed = specs[0].shape[0]
    step = fixed if isinstance(fixed, int) else CHUNK_ROWS
    with Runtime.open(bundle, allow_unsigned=True, variant=variant, threads=threads) as runtime:
        answers = [
            runtime.infer({name: rows[at : at + step] for name, rows in arrays.items()}).outputs
            for at in range(0, count, step)
        ]
    merged = {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
    write_arrays(output, merged)
    err.print(f"{count} rows through {opened.manifest.model.name} (unsigned) → {output}")


def _arrays(paths: list[Path], specs: tuple[TensorSpec, ...]) -> Arrays:
    """Return what callers pass: the arrays of one file, or files as rows.

    Raises:
        ConfigurationError: a file cannot be read, or several are given to a bundle that takes none.
    """
    files = len(specs) == 1 and takes_files(specs[0])
    if len(paths) == 1 and (paths[0].suffix == ".npz" or not files):
        return read_arrays(paths[0], [spec.name for spec in specs])
    if not files:
        raise ConfigurationError(
            f"{paths[0]}: this bundle takes arrays, not files", hint="write them as one .npz"
        )
    return {specs[0].name: rows_from_files([read_file(path) for path in paths])}


def _rows(path: Path, arrays: Arrays) -> int:
    """Return how many rows every array has.

    Raises:
        TensorMismatchError: none, or not all the same number.
    """
    counts = {name: len(rows) if rows.ndim else 0 for name, rows in arrays.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        told = ", ".join(f"'{name}' has {count}" for name, count in counts.items())
        raise TensorMismatchError(f"{path}: {told} rows, expected one number of rows for all")
    return next(iter(counts.values()))
