# SPDX-License-Identifier: Apache-2.0
"""Children that do one task after another, and what it means when one does not.

A toolchain takes seconds to start and milliseconds a case, so a child lives as
long as it behaves. One that crashes or is over its time is replaced, and the
task that it was at has the reason.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from insight_edge.bundle.process_tree import kill_tree
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.documents.facts import Missing
from insight_edge.errors import ToolchainMissingError

ROOT = Path(__file__).resolve().parent.parent
WORKER = "conformance.worker"
"""Module that a child runs."""

TASKS_A_CHILD = 400
"""After so many a child is replaced: what toolchains leak stays bounded."""

Answer = dict[str, Any]


class Crew:
    """The children of one lane, each started when it is first needed.

    Args:
        limit_s: after which a task is given up.
        log: file that all they print goes to.
    """

    def __init__(self, *, limit_s: float, log: Path) -> None:
        self._limit_s, self._log = limit_s, log
        self._children: dict[tuple[str, str], _Child] = {}

    def ask(self, role: str, token: str, task: dict[str, Any]) -> Answer:
        """Return what a child of a role answers; `lost` where it did not live to.

        Args:
            role: of `conformance.worker`.
            token: of the backend whose environment it runs in; empty for the workshop's own.
            task: for it.

        Raises:
            ToolchainMissingError: that environment is not installed.
        """
        child = self._children.get((role, token))
        if child is None or child.tasks >= TASKS_A_CHILD:
            if child is not None:
                child.close()
            child = _Child(_python(role, token), role, self._log)
            self._children[role, token] = child
        answer = child.ask(task, self._limit_s)
        if "lost" in answer:
            child.close()
            del self._children[role, token]
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in self._children.values():
            child.close()


class _Child:
    def __init__(self, python: str, role: str, log: Path) -> None:
        self.tasks = 0
        reading, writing = os.pipe()
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": "1",
            "TVM_NUM_THREADS": "1",
        }
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [python, "-P", "-m", WORKER, role, str(writing)],
                cwd=log.parent,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                pass_fds=(writing,),
                start_new_session=True,
            )
        os.close(writing)
        self._answers = reading
        self._heard = b""

    def ask(self, task: dict[str, Any], limit_s: float) -> Answer:
        self.tasks += 1
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 (it was asked for)
        try:
            stdin.write(json.dumps(task).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            return self._ended()
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._heard:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                return {"lost": f"over the time limit of {limit_s:g} s", "signal": 0}
            part = os.read(self._answers, 2**16)
            if not part:
                return self._ended()
            self._heard += part
        line, _, self._heard = self._heard.partition(b"\n")
        answer: Answer = json.loads(line)
        return answer

    def close(self) -> None:
        kill_tree(self._process.pid)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        os.close(self._answers)

    def _ended(self) -> Answer:
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            return {"lost": f"the process was killed by {name}", "signal": -code}
        return {"lost": f"the process ended with code {code}", "signal": 0}


def _python(role: str, token: str) -> str:
    """Return the interpreter of a role: builds run in toolchains, answers in devices."""
    if not token:
        return sys.executable
    if role == "answer":
        return str(environment_python(f"device-{token}"))
    toolchain = backends_toolchain(token)
    if isinstance(toolchain, Missing):
        raise ToolchainMissingError(f"{token}: {toolchain.reason}")
    return toolchain


def backends_toolchain(token: str) -> str | Missing:
    """Return the interpreter that has a backend's toolchain, or what is missing."""
    backend = backends()[token]
    found = backend if isinstance(backend, Missing) else backend.toolchain()
    return found if isinstance(found, Missing) else found.python
