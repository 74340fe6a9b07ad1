# SPDX-License-Identifier: Apache-2.0
"""What is known of one kernel: its tuning records, in a folder of its own.

Several builds may want it at once, and any of them may be killed: it is locked
while it is used, and a line that was torn is cut off.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLES = ("database_workload.json", "database_tuning_record.json")

NEVER_S = 1e9
"""MetaSchedule records a candidate that did not run as one that takes longer than this."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """The records of a kernel.

    Attributes:
        kernel: as TVM's IR.
        folder: made when it is first used.
    """

    kernel: Any
    folder: Path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other builds from them within the block."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def best(self) -> Any:
        """Return the fastest, None where none ran; the caller holds them."""
        if not (self.folder / TABLES[1]).exists():
            return None
        database = self.database()
        records = database.get_top_k(database.commit_workload(self.kernel), 1)
        return records[0] if records and _seconds(records[0]) < NEVER_S else None

    def best_s(self) -> float | None:
        """Return how long the fastest takes, in seconds; None where none ran."""
        with self.held():
            record = self.best()
        return None if record is None else _seconds(record)

    def database(self) -> Any:
        """Open them; a damaged file loses its last line, or is given up. The caller holds them."""
        from tvm.s_tir import meta_schedule

        for name in TABLES:
            _drop_torn_line(self.folder / name)
        try:
            return meta_schedule.database.JSONDatabase(work_dir=str(self.folder))
        except Exception as error:  # noqa: BLE001 (whatever TVM makes of the damage)
            name = self.folder.name
            print(f"records of {name} cannot be read, starting anew: {error}")  # noqa: T201
            for table in TABLES:
                (self.folder / table).unlink(missing_ok=True)
            return meta_schedule.database.JSONDatabase(work_dir=str(self.folder))


def _seconds(record: Any) -> float:
    return min((float(seconds) for seconds in record.run_secs or ()), default=NEVER_S)


def _drop_torn_line(path: Path) -> None:
    """Cut off what a killed build left of a line."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
