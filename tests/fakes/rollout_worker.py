# SPDX-License-Identifier: Apache-2.0
"""A worker that rolls out and kills itself: `python -m tests.fakes.rollout_worker FOLDER N`.

It takes turns until it is about to make its N-th commit, and then is gone without
a word, as by `kill -9`.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from insight_cloud.platform.database import Database, open_database
from tests.fakes.rollout_world import world_over

TURNS = 3


class SuicidalDatabase(Database):
    """A database whose process is killed inside its N-th write."""

    left = 0

    @contextmanager
    def write(self) -> Iterator[Session]:
        self.left -= 1
        with super().write() as session:
            yield session
            session.flush()
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, number: int) -> None:
    database = SuicidalDatabase(open_database(folder / "cloud.sqlite")._reader)
    database.left = number
    world = world_over(folder, database)
    world.run(TURNS)
    database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
