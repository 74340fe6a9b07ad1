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
from importlib import import_module
from pathlib import Path
from types import ModuleType

from insight_edge.bundle.durable import replace_file
from insight_edge.errors import MissingError, StorageError

MICROSECONDS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One result as it is logged.

    Attributes:
        key: that the caller passed, or None.
        at_s: by the device's clock.
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
        MissingError: pyarrow is not installed.
        StorageError: the disk is full or cannot be written; what was there before is there.
    """
    arrow, parquet = parquet_library()
    table = arrow.table(
        {
            "id": arrow.array([row.id for row in rows], arrow.string()),
            "device": arrow.array([row.device for row in rows], arrow.string()),
            "deployment": arrow.array([row.deployment for row in rows], arrow.string()),
            "bundle": arrow.array([row.bundle for row in rows], arrow.string()),
            "key": arrow.array([row.key for row in rows], arrow.string()),
            "at": arrow.array([row.at_s for row in rows], arrow.float64()),
            "arrived": arrow.array(
                [round(row.arrived_s * MICROSECONDS) for row in rows],
                arrow.timestamp("us", tz="UTC"),
            ),
            "class_index": arrow.array([row.class_index for row in rows], arrow.int64()),
            "class_name": arrow.array([row.class_name for row in rows], arrow.string()),
            "outputs": arrow.array([row.outputs for row in rows], arrow.string()),
        }
    )
    held = io.BytesIO()
    parquet.write_table(table, held, compression="zstd")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent}: {error.strerror}") from error
    replace_file(path, held.getvalue())


def parquet_library() -> tuple[ModuleType, ModuleType]:
    """Return pyarrow and its Parquet part.

    Raises:
        MissingError: pyarrow is not installed.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingError(
            f"the prediction log needs pyarrow: {error}", hint="pip install pyarrow"
        ) from error
