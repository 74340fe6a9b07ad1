# SPDX-License-Identifier: Apache-2.0
"""Keep the server of a deployment running as its plan says; one step a call.

An application that attaches to the deployment itself goes first: as long as it does,
no server is started. What to do is decided by `fleet.serving.rules`.
"""

import logging
import signal
from collections.abc import Sequence
from pathlib import Path

from insight_edge.bundle.claim import Claim
from insight_edge.documents.codec import digest, encode_json
from insight_edge.documents.serve_plan import ServePlan, serve_words
from insight_edge.errors import ConfigurationError
from insight_edge.fleet.serving.plan import read_plan
from insight_edge.fleet.serving.process import Process
from insight_edge.fleet.serving.rules import Seen, Standing, Step, step

_log = logging.getLogger(__name__)


class Keeper:
    """Keeps one server.

    Args:
        place: state directory of the deployment.
        program: `insight-edge`.
    """

    def __init__(self, place: Path, program: Sequence[str]) -> None:
        self._place, self._program = place, program
        self._process = Process(place)
        self._standing = Standing()
        self._complaint = ""

    def look(self, now_s: float, *, attached: bool) -> None:
        """Do what is to be done now.

        Args:
            now_s: of the monotonic clock.
            attached: the deployment's runtime host can be asked.

        Raises:
            StorageError: which process it is cannot be kept.
        """
        try:
            plan = read_plan(self._place)
        except ConfigurationError as error:
            self._complain(str(error))
            return  # what runs goes on
        running = self._process.plan()
        seen = Seen(
            wanted=plan is not None,
            running=running is not None,
            outdated=plan is not None and running != _digest(plan),
            attached=attached,
            taken=running is None and plan is not None and self._taken(),
        )
        self._standing, what = step(self._standing, seen, now_s)
        self._do(what, plan)

    def _do(self, what: Step, plan: ServePlan | None) -> None:
        match what:
            case Step.START if plan is not None:
                self._start(plan)
            case Step.END:
                self._process.signal(signal.SIGTERM)
            case Step.KILL:
                _log.warning("%s: the server hangs; it is killed", self._place.name)
                self._process.signal(signal.SIGKILL)
            case _:
                return

    def _start(self, plan: ServePlan) -> None:
        command = [*self._program, "serve", f"--state={self._place.absolute()}", *serve_words(plan)]
        try:
            self._process.start(command, _digest(plan))
        except OSError as error:
            self._complain(f"{self._program[0]}: cannot be started: {error.strerror or error}")
        else:
            _log.info("%s: a server is started", self._place.name)

    def _taken(self) -> bool:
        try:
            Claim(self._place, "host").release()
        except ConfigurationError:
            self._complain("an application serves it, so no server is started")
            return True
        return False

    def _complain(self, words: str) -> None:
        if words != self._complaint:
            _log.warning("%s: %s", self._place.name, words)
        self._complaint = words


def _digest(plan: ServePlan) -> str:
    return digest(encode_json(plan))
