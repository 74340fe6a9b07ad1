# SPDX-License-Identifier: Apache-2.0
"""An agent in a process of its own, with a stand-in for `insight-edge bench`, that can be killed.

    python -m tests.fakes.job_agent STATE INSTANT PROGRAM...

INSTANT is where it kills itself, once: `never`, `before-attempt`, `after-attempt`,
`before-results` (when the program has left its file), `after-results`, `before-outbox`,
`within-outbox` (in the transaction), `after-outbox`.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from insight_edge.bench.machine import machine_facts
from insight_edge.fleet.agent import Agent
from insight_edge.fleet.jobs import timing
from insight_edge.fleet.jobs.store import JobStore
from insight_edge.fleet.link.outbox import Outbox
from insight_edge.runtime.loading import engine_facts
from tests.fakes.broker import SWIFT
from tests.fakes.outage_world import POLICY, RHYTHM

INSTANTS = {
    "before-attempt": (JobStore, "begin", "before"),
    "after-attempt": (JobStore, "begin", "after"),
    "before-results": (timing, "read_results", "before"),
    "after-results": (timing, "read_results", "after"),
    "before-outbox": (JobStore, "finish", "before"),
    "within-outbox": (Outbox, "_put", "after"),
    "after-outbox": (JobStore, "finish", "after"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def plant(instant: str) -> None:
    """Let this process be killed at an instant."""
    place, name, when = INSTANTS[instant]
    real: Callable[..., Any] = getattr(place, name)

    def call(*arguments: Any, **keywords: Any) -> Any:
        if when == "before":
            die()
        found = real(*arguments, **keywords)
        die()
        return found

    setattr(place, name, call)


def main() -> None:
    state, instant, *program = sys.argv[1:]
    if instant != "never":
        plant(instant)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    facts = machine_facts(engine_facts())
    agent = Agent(
        Path(state), facts, policy=POLICY, rhythm=RHYTHM, pace=SWIFT, program=program or _real()
    )
    agent.run(stop)


def _real() -> tuple[str, ...]:
    from insight_edge.fleet.jobs.runner import PROGRAM

    return PROGRAM


if __name__ == "__main__":
    main()
