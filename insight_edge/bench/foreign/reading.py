# SPDX-License-Identifier: Apache-2.0
"""Read a file that another benchmark tool has written, whichever of those known it is."""

from pathlib import Path
from typing import Final

import msgspec

from insight_edge.bench.foreign.formats import FORMATS, Fields
from insight_edge.documents.codec import digest
from insight_edge.documents.foreign import ForeignResult
from insight_edge.errors import ConfigurationError, DocumentError, LimitExceededError

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a report; trtexec's has some 200 bytes an inference."""

MAX_RUNS: Final = 10_000

MAX_TEXT: Final = 200
"""Of a name; it is shown to people, so that what does not print is left out."""


def read_report(path: Path) -> tuple[ForeignResult, ...]:
    """Return what a report says, a document each run.

    Raises:
        ConfigurationError: it cannot be read.
        LimitExceededError: it is longer than any that is read.
        DocumentError: it is of no tool that is known, or says no figure.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LimitExceededError(f"{path}: more than {MAX_BYTES >> 20} MiB of a report")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    return foreign_from(data, path.name, str(path))


def foreign_from(data: bytes, name: str, shown: str) -> tuple[ForeignResult, ...]:
    """Return what the bytes of a report say; raises as `read_report`, which is called `shown`."""
    text = data.decode("utf-8-sig", errors="replace")
    for read in FORMATS.values():
        runs = read(text)
        if runs is not None:
            break
    else:
        hint = f"those that are read are {', '.join(FORMATS)}"
        raise DocumentError(f"{shown}: no report of a benchmark that is known here", hint=hint)
    if len(runs) > MAX_RUNS:
        raise LimitExceededError(f"{shown}: {len(runs)} runs, at most {MAX_RUNS} are read")
    said = {"source": name, "sha256": digest(data)}
    try:
        found = [msgspec.convert(_told({**one, **said}), ForeignResult) for one in runs]
    except msgspec.ValidationError as error:
        raise DocumentError(f"{shown}: {error}") from error
    if not all(one.latency_ms or one.throughput_per_s is not None for one in found):
        raise DocumentError(f"{shown}: it says neither a latency nor a throughput")
    return tuple(found)


def _told(fields: Fields) -> Fields:
    return {
        name: "".join(filter(str.isprintable, value))[:MAX_TEXT]
        if isinstance(value, str)
        else value
        for name, value in fields.items()
    }
