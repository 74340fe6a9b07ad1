# SPDX-License-Identifier: Apache-2.0
"""Durable functions: what was finished before a crash is not done again after it.

The one module that knows DBOS, which is imported when a worker opens it and not
before. A workflow is a function of its id; each of its steps is recorded, with its
result, before the next begins, and after a crash the function is called again with
those results. A step that was interrupted is done again, so a step is written to find
what it made. Results are JSON. The order of steps is a contract: change `VERSION`
when it changes.

One process at a time hosts the workflows of a file. The lock that says so is given
back by the kernel when the process ends, however it ends, and the next process takes
up what was running.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from insight_edge.errors import InsightEdgeError, StorageError

if TYPE_CHECKING:
    from dbos import Serializer

VERSION: Final = "pipelines-2"
EXECUTOR: Final = "pipelines"
"""Whichever process hosts them has this name, so that it recovers those of the one before."""

QUIET: Final = "ERROR"
CLOSING_S: Final = 5.0

Json = Any
Step = Callable[[str, Callable[[], Json]], Json]
"""Does something once, under a name, and returns its result; or returns it from before."""

Body = Callable[[str, Step], Json]
"""A workflow: called with its id."""


class Stopped(BaseException):
    """The process ends: the step was not done, and is done again by the next process."""


class Progress(StrEnum):
    """How far a workflow is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STRANDED = "stranded"
    """Begun by a release whose steps were others; nobody goes on with it."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A workflow, as it is recorded.

    Attributes:
        steps: names of those that are finished, in order.
    """

    id: str
    progress: Progress
    steps: tuple[str, ...]


class Workflows:
    """The workflows of one file, hosted by this process until it is closed."""

    def __init__(self, body: Body, stop: threading.Event) -> None:
        self._body = body
        self._stop = stop
        self._active = 0
        self._idle = threading.Condition()

    def start(self, workflow: str) -> None:
        """Begin a workflow; one that began before is left as it is.

        Raises:
            StorageError: it cannot be recorded.
        """
        from dbos import DBOS, SetWorkflowID

        with _wrapped(), SetWorkflowID(workflow):
            DBOS.start_workflow(self._registered, workflow)

    def seen(self, workflow: str) -> Seen | None:
        """Return how far a workflow is; None for one that never began.

        Raises:
            StorageError: it cannot be read.
        """
        from dbos import DBOS

        with _wrapped():
            status = DBOS.get_workflow_status(workflow)
            if status is None:
                return None
            steps = DBOS.list_workflow_steps(workflow, load_output=False)
        return Seen(
            id=workflow,
            progress=_progress(status.status, status.app_version),
            steps=tuple(step["function_name"] for step in steps),
        )

    def launch(self, path: Path) -> None:
        """Take up what another process left."""
        from dbos import DBOS

        DBOS(
            config={
                "name": "insight-cloud",
                "system_database_url": f"sqlite:///{path.absolute()}",
                "application_version": VERSION,
                "executor_id": EXECUTOR,
                "log_level": QUIET,
                "serializer": _json_serializer(),
            }
        )

        @DBOS.workflow(name="pipeline")
        def run(workflow: str) -> Json:
            with self._busy():
                return self._body(workflow, self._step)

        self._registered = run
        DBOS.launch()

    def _step(self, name: str, do: Callable[[], Json]) -> Json:
        from dbos import DBOS

        if self._stop.is_set():
            raise Stopped
        return DBOS.run_step({"name": name}, do)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        with self._idle:
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Let steps stop, and let go of the file."""
        from dbos import DBOS

        self._stop.set()
        deadline_s = time.monotonic() + CLOSING_S
        with self._idle:
            self._idle.wait_for(lambda: not self._active, deadline_s - time.monotonic())
        DBOS.destroy(destroy_registry=True)


@contextmanager
def hosted(path: Path, body: Body, stop: threading.Event) -> Iterator[Workflows]:
    """Give the workflows of a file, and go on with those that another process left.

    Args:
        path: the SQLite file; made where absent.
        body: what each of them does.
        stop: is set at the end; steps then have a few seconds to raise `Stopped`.

    Raises:
        BusyError: another process hosts them.
        StorageError: the file cannot be opened.
    """
    with _only_host(path.with_suffix(".lock")):
        workflows = Workflows(body, stop)
        try:
            with _wrapped():
                workflows.launch(path)
            yield workflows
        finally:
            workflows.close()


@contextmanager
def _wrapped() -> Iterator[None]:
    """Turn what the engine raises, which has no tree of its own for a file, into one line."""
    try:
        yield
    except Exception as error:
        line = str(error).partition("\n")[0]
        raise StorageError(f"the file of the pipelines: {line}") from error


class BusyError(InsightEdgeError):
    """Another process hosts the workflows."""


@contextmanager
def _only_host(lock: Path) -> Iterator[None]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{lock}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise BusyError("another process hosts the pipelines") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _progress(status: str, version: str | None) -> Progress:
    match status:
        case "SUCCESS":
            return Progress.DONE
        case "CANCELLED":
            return Progress.CANCELLED
        case "PENDING" | "ENQUEUED" | "DELAYED":
            return Progress.RUNNING if version == VERSION else Progress.STRANDED
        case _:
            return Progress.FAILED


def _json_serializer() -> "Serializer":
    """Return what writes results; an error is a line, which `StepFailedError` carries."""
    from dbos import Serializer

    class JsonSerializer(Serializer):
        """JSON instead of pickles: what is read back runs nothing."""

        def serialize(self, data: Any) -> str:
            if isinstance(data, BaseException):
                data = {"error": f"{type(data).__name__}: {data}"}
            return json.dumps(data)

        def deserialize(cls, serialized_data: str) -> Any:  # noqa: N805 - named so there
            found = json.loads(serialized_data)
            if isinstance(found, dict) and set(found) == {"error"}:
                return StepFailedError(found["error"])
            return found

        def name(self) -> str:
            return "json"

    return JsonSerializer()


class StepFailedError(InsightEdgeError):
    """A step failed before a crash, with this line."""
