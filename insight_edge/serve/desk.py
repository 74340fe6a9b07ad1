# SPDX-License-Identifier: Apache-2.0
"""What a request gets: an answer at once, or a call put in line. No socket is known here."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from insight_edge import __version__
from insight_edge.documents.open_inference import (
    IndexEntry,
    ModelMetadata,
    ModelReady,
    ServerMetadata,
    metadata_from_spec,
)
from insight_edge.runtime.served import Served
from insight_edge.serve.answering import BROKEN, Answered, Answering, Engine, other_version
from insight_edge.serve.calls import Calls
from insight_edge.serve.exposition import CONTENT_TYPE, exposition
from insight_edge.serve.framing import Request
from insight_edge.serve.pace import Pace
from insight_edge.serve.refusal import RefusedError, Response
from insight_edge.serve.routes import Route, route
from insight_edge.serve.statistics import statistics
from insight_edge.serve.tally import Tally

SERVER = "insight-edge"

_log = logging.getLogger(__name__)

Deliver = Callable[[Response], None]


class Desk:
    """Answers requests, all in the thread of the event loop.

    Args:
        engine: that is asked.
        name: what clients call the model; None for the name in its manifest.
        calls: where engines run.
        most_bytes: of a body, decompressed.

    Attributes:
        leaving: nothing new should be sent here; requests are still answered.
        connections: how many there are, for who looks.
    """

    def __init__(
        self, engine: Engine, name: str | None, calls: Calls[Answered], most_bytes: int
    ) -> None:
        self.leaving = False
        self.connections = 0
        self._engine, self._name, self._calls, self._most = engine, name, calls, most_bytes
        self._tally, self._pace = Tally(), Pace()
        self._tellings: dict[str, Callable[[], Response]] = {
            "server": lambda: _json(ServerMetadata(SERVER, __version__)),
            "live": lambda: _json({"live": True}),
            "ready": self._tell_ready,
            "index": lambda: _json(self._index()),
            "metrics": self._tell_metrics,
            "all stats": lambda: _json(statistics(self._tally)),
        }

    def take(self, request: Request, deliver: Deliver) -> Response | None:
        """Return an answer, or None where it will be delivered later."""
        asked: Route | None = None
        try:
            asked = route(request.head.method, request.head.path)
            if asked.endpoint == "infer":
                return self._infer(asked, request, deliver)
            response = self._tell(asked)
        except RefusedError as refused:
            response = refused.response
        except Exception:  # noqa: BLE001 (whatever breaks, the server goes on and its log says what)
            _log.exception("a request failed")
            response = BROKEN.response
        self.count(response, "none" if asked is None else asked.endpoint)
        return response

    def count(self, response: Response, endpoint: str = "none") -> None:
        """Count what was answered."""
        self._tally.requests[endpoint, response.status] += 1

    def _infer(self, asked: Route, request: Request, deliver: Deliver) -> Response | None:
        served, name = self._find(asked)
        answering = Answering(self._engine, name, self._most)
        bundle, size, asked_ns = served.bundle, len(request.body), time.perf_counter_ns()

        def done(answered: Answered) -> Response:
            self._count_call(answered, name, str(served.manifest.model.version))
            if answered.version is not None:
                self._pace.add(bundle, size, answered.spent.inferring)
            return answered.response

        answered = self._calls.submit(
            lambda: answering.answer(request, asked.version, asked_ns),
            lambda answered: deliver(done(answered)),
            short=self._pace.is_short(bundle, size),
        )
        return None if answered is None else done(answered)

    def _count_call(self, answered: Answered, name: str, version: str) -> None:
        self.count(answered.response, "infer")
        counted = self._tally.models[name, answered.version or version]
        if answered.version is None:
            counted.add_failed(answered.spent)
        else:
            counted.add(answered.spent, answered.rows, now_s=time.time())

    def _tell(self, asked: Route) -> Response:
        telling = self._tellings.get(asked.endpoint)
        return self._tell_of_model(asked) if telling is None else telling()

    def _tell_ready(self) -> Response:
        return _json({"ready": self._ready}, 200 if self._ready else 503)

    def _tell_metrics(self) -> Response:
        return Response(200, exposition(self._tally, self._gauges()).encode(), CONTENT_TYPE)

    def _tell_of_model(self, asked: Route) -> Response:
        served, name = self._find(asked)
        if asked.endpoint == "stats":
            return _json(statistics(self._tally, asked.version))
        if asked.endpoint == "model ready":
            return _json(ModelReady(name, self._ready), 200 if self._ready else 503)
        return _json(metadata_from_served(served, name))

    @property
    def _ready(self) -> bool:
        return not self.leaving and self._engine.served is not None

    def _find(self, asked: Route) -> tuple[Served, str]:
        """Return who serves under the name that is asked for, and that name.

        Raises:
            RefusedError: nobody does.
        """
        served = self._engine.served
        if served is None:
            raise RefusedError(503, "no bundle is serving", headers=(("Retry-After", "1"),))
        name = self._name or served.manifest.model.name
        if asked.model != name:
            raise RefusedError(404, f"there is no model '{asked.model}'; '{name}' serves")
        own = str(served.manifest.model.version)
        if asked.version not in {None, own}:
            raise other_version(str(asked.version), own)
        return served, name

    def _index(self) -> tuple[IndexEntry, ...]:
        served = self._engine.served
        if served is None:
            return ()
        model = served.manifest.model
        state = "READY" if self._ready else "UNAVAILABLE"
        reason = "" if self._ready else "the server is leaving"
        return (IndexEntry(self._name or model.name, str(model.version), state, reason),)

    def _gauges(self) -> dict[str, tuple[str, float]]:
        return {
            "ready": ("Whether a bundle serves and the server is not leaving.", self._ready),
            "calls_running": ("Calls that have a thread.", self._calls.running),
            "calls_waiting": ("Calls that wait for one.", self._calls.waiting),
            "connections": ("Open connections.", self.connections),
            "resident_bytes": ("Resident memory of the process.", _resident_bytes()),
        }


def metadata_from_served(served: Served, name: str) -> ModelMetadata:
    """Return what the protocol says of a bundle."""
    io = served.manifest.io
    return ModelMetadata(
        name=name,
        versions=(str(served.manifest.model.version),),
        platform=served.engine,
        inputs=tuple(map(metadata_from_spec, io.inputs)),
        outputs=tuple(map(metadata_from_spec, io.outputs)),
        parameters={"bundle": served.bundle, "signed": served.signed, "variant": served.variant},
    )


def _json(value: Any, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(value))


def _resident_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(next(found, "0"))
