# SPDX-License-Identifier: Apache-2.0
"""Results that a program has left, believed only as far as they are what was asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from insight_edge.documents.codec import decode_json
from insight_edge.documents.result import BenchResult
from insight_edge.errors import LimitExceededError, MeasurementError

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of a file of results; with 3000 samples a variant has about 50 kB."""


def read_results(
    path: Path, *, bundle: str, variants: Sequence[str], device: str
) -> tuple[BenchResult, ...]:
    """Return the results in a file, one for each variant that was asked for and in that order.

    Raises:
        MeasurementError: there is no such file, or it says something else than was asked.
        LimitExceededError: it is longer than any that was asked for.
        DocumentError: a line of it is no result.
    """
    found = [decode_json(BenchResult, line) for line in _lines(path)]
    by_name = {one.variant: one for one in found}
    if len(found) != len(by_name) or set(by_name) != set(variants):
        raise MeasurementError(f"results of {_names(by_name)}, asked was {_names(variants)}")
    if {(one.bundle, one.device) for one in found} != {(bundle, device)}:
        raise MeasurementError("the results are of another bundle or device")
    if len({one.run for one in found}) > 1:
        raise MeasurementError("the results are not of one run")
    return tuple(by_name[name] for name in variants)


def _lines(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise MeasurementError(f"there are no results: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise LimitExceededError(f"more than {MAX_BYTES} bytes of results")
    return data.splitlines()


def _names(names: Sequence[str] | dict[str, BenchResult]) -> str:
    return ", ".join(sorted(names))[:200] or "nothing"
