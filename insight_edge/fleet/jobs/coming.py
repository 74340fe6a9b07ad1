# SPDX-License-Identifier: Apache-2.0
"""Jobs that came and are not judged yet, or could not be.

Where the update repository is out of reach a message is judged again after a growing
pause. What is lost with the agent the cloud says again. One that is not believed is
not answered: whoever sent it is not the cloud.
"""

import logging
from collections.abc import Callable
from typing import Final

from insight_edge.documents.job import MAX_JOBS
from insight_edge.fleet.errands import JobJudged
from insight_edge.fleet.jobs.agenda import Agenda
from insight_edge.fleet.trust.unjudged import Unjudged
from insight_edge.fleet.update.policy import Policy

MAX_BYTES: Final = 64 * 1024
"""No job is longer."""

MAX_UNJUDGED: Final = 2 * MAX_JOBS
"""More push out the oldest: its cloud says it again."""

_log = logging.getLogger(__name__)


class Coming:
    """Jobs on their way to an agenda; used by the agent's thread alone.

    Args:
        judge: has a message judged; `JobJudged` tells what came of it.
        agenda: of the agent.
        policy: pauses between two looks.
    """

    def __init__(self, judge: Callable[[bytes], None], agenda: Agenda, policy: Policy) -> None:
        self._judge, self._agenda, self._policy = judge, agenda, policy
        self._unjudged: dict[bytes, Unjudged] = {}

    def came(self, payload: bytes) -> None:
        """Have a message judged, unless that is being done."""
        if len(payload) > MAX_BYTES:
            _log.warning("a job of %d bytes is not read", len(payload))
        elif payload not in self._unjudged:
            while len(self._unjudged) >= MAX_UNJUDGED:
                del self._unjudged[next(iter(self._unjudged))]
            self._unjudged[payload] = Unjudged(payload=payload)
            self._judge(payload)

    def judged(self, news: JobJudged) -> None:
        """Take in a job that is believed; judge it again later where that could not be said.

        Raises:
            StorageError: it cannot be written down; its cloud says it again.
        """
        waiting = self._unjudged.pop(news.payload, Unjudged(payload=news.payload))
        if news.error is None and news.job is not None:
            self._agenda.take(news.job)
            return
        _log.warning("a job: %s", news.error)
        if news.may_pass:
            self._unjudged[news.payload] = waiting.put_off(self._policy)
        elif news.job is not None and news.error is not None:
            self._agenda.refuse(news.job, news.error)

    def judge_again(self) -> None:
        """Have what is due judged again."""
        for payload, waiting in self._unjudged.items():
            if waiting.is_due():
                self._unjudged[payload] = waiting.begun()
                self._judge(payload)
