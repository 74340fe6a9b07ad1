# SPDX-License-Identifier: Apache-2.0
"""A process that takes messages in, as `python -m tests.fakes.ingester DATABASE FILE BATCH`.

It says `ready`, waits for a line before every batch, and prints the digests of what
is committed; after each batch it adds a few reports up.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from insight_cloud.platform.database import open_database
from insight_cloud.telemetry.service import Telemetry
from insight_edge.documents.topics import parse_topic
from tests.fakes.telemetry import NOW, Message, find_bundle

ROOT = Path(__file__).parents[2]


def write_messages(path: Path, messages: Sequence[Message]) -> None:
    path.write_text(json.dumps([[str(topic), payload.hex()] for topic, payload in messages]))


def start_ingester(database: Path, messages: Path, batch: int) -> subprocess.Popen[str]:
    """Return a process that is ready."""
    arguments = [str(database), str(messages), str(batch)]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.ingester", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def allow(child: subprocess.Popen[str], batches: int) -> None:
    """Let a process take so many batches in."""
    assert child.stdin is not None
    child.stdin.write("go\n" * batches)
    child.stdin.flush()


def main(database: str, file: str, batch: int) -> None:
    messages = [
        (parse_topic(topic), bytes.fromhex(payload))
        for topic, payload in json.loads(Path(file).read_text())
    ]
    opened = open_database(Path(database))
    telemetry = Telemetry(opened, find_bundle, Path(file).parent / "log")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for start in range(0, len(messages), batch):
        sys.stdin.readline()
        receipts = telemetry.ingest(messages[start : start + batch], NOW)
        sys.stdout.write(" ".join(receipt.digest for receipt in receipts) + "\n")
        sys.stdout.flush()
        telemetry.roll_up(NOW, limit=batch // 2)
    opened.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
