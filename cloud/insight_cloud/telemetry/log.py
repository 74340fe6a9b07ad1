# SPDX-License-Identifier: Apache-2.0
"""The prediction log: results of a day as Parquet files, for whoever reads them in bulk.

`<folder>/<tenant>/day=YYYY-MM-DD/<name>.parquet`. A file is written whole or not
at all, and once more under the same name with the same rows does no harm. The
one module that knows pyarrow.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from insight_edge.bundle.durable import replace_file
from insight_edge.errors import StorageError

MICROSECONDS = 1_000_000
FIRST_S, LAST_S = -62_135_596_800.0, 253_402_300_800.0
"""The years 1 to 9999, which is what readers of a timestamp take."""


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One result as it is logged.

    Attributes:
        key: that the caller passed, or None.
        at_s: by the device's clock, which may be wrong by any length.
        arrived_s: by the cloud's.
        outputs: JSON.
    """

    id: str
    device: str
    deployment: str
    bundle: str
    key: str | None
    at_s: float
    arrived_s: float
    class_index: int | None
    class_name: str | None
    outputs: str


def log_path(folder: Path, tenant: str, day: int, name: str) -> Path:
    """Return where a file of a day, counted since the epoch, lies."""
    date = datetime.fromtimestamp(day * 86_400, UTC).date()
    return folder / tenant / f"day={date.isoformat()}" / f"{name}.parquet"


def write_log(path: Path, rows: Sequence[Logged]) -> None:
    """Write results into a file, over what has its name.

    Raises:
        StorageError: the disk is full or cannot be written; what was there before is there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent}: {error.strerror}") from error
    replace_file(path, _parquet(rows))


def _parquet(rows: Sequence[Logged]) -> bytes:
    import pyarrow as pa  # it is 30 MB that only the worker needs
    from pyarrow import parquet

    columns = {
        **{name: pa.string() for name in ("id", "device", "deployment", "bundle", "key")},
        **{name: pa.timestamp("us", tz="UTC") for name in ("at", "arrived")},
        "class_index": pa.int64(),
        **{name: pa.string() for name in ("class_name", "outputs")},
    }
    values = {
        name: [getattr(row, name) for row in rows] for name in columns.keys() - {"at", "arrived"}
    }
    values |= {
        "at": [_microseconds(row.at_s) for row in rows],
        "arrived": [_microseconds(row.arrived_s) for row in rows],
    }
    arrays = {name: pa.array(values[name], kind) for name, kind in columns.items()}
    held = io.BytesIO()
    parquet.write_table(pa.table(arrays), held, compression="zstd")
    return held.getvalue()


def _microseconds(moment_s: float) -> int | None:
    """Return a moment as Parquet has it; None for one beyond the years 1 to 9999."""
    return round(moment_s * MICROSECONDS) if FIRST_S <= moment_s < LAST_S else None
