# SPDX-License-Identifier: Apache-2.0
"""Examines ONNX bytes in one child after another: a new one only where the last one crashed.

`python -m tests.fakes.examiner` is the child. It reads a length and so many
bytes, does what an import child does, and answers with one line.
"""

import select
import subprocess
import sys
import tempfile
from pathlib import Path

from insight_edge.compile.importers.onnx import examine
from insight_edge.errors import InsightEdgeError

HUNG_S = 20.0
ROOT = Path(__file__).parents[2]


class Examiner:
    """Starts children as it needs them."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def verdict(self, data: bytes) -> str:
        """Return `model`, `refused …`, `escaped …`, `crashed` or `hung`."""
        if self._child is None:
            command = [sys.executable, "-m", "tests.fakes.examiner"]
            pipe, none = subprocess.PIPE, subprocess.DEVNULL
            self._child = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=none)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(len(data).to_bytes(8) + data)
        self._child.stdin.flush()
        if not select.select([self._child.stdout], [], [], HUNG_S)[0]:
            self.close()
            return "hung"
        answer = self._child.stdout.readline().decode().rstrip("\n")
        if not answer:
            self.close()
        return answer or "crashed"

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def main() -> None:
    """Answer until there is no more to read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        while length := sys.stdin.buffer.read(8):
            path.write_bytes(sys.stdin.buffer.read(int.from_bytes(length)))
            sys.stdout.write(f"{_examined(path)}\n")
            sys.stdout.flush()


def _examined(path: Path) -> str:
    try:
        examine(path, path.parent, trust_pickle=False)
    except InsightEdgeError as error:
        return f"refused {str(error)!r}"
    except Exception as error:  # noqa: BLE001 (which is what the test looks for)
        return f"escaped {error!r}"
    return "model"


if __name__ == "__main__":
    main()
