# SPDX-License-Identifier: Apache-2.0
"""A process that writes the prediction log, as `python -m tests.fakes.flusher DATABASE LOG`."""

import sys
from pathlib import Path

from insight_cloud.platform.database import open_database
from insight_cloud.telemetry.service import Telemetry
from tests.fakes.telemetry import NOW, find_bundle


def main(database: str, log: str) -> None:
    opened = open_database(Path(database))
    Telemetry(opened, find_bundle, Path(log)).flush(NOW)
    opened.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
