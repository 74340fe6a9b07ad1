# SPDX-License-Identifier: Apache-2.0
"""Look at the cloud as its operator does, and tell what is new."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from insight_cloud.demo.client import Client
from insight_cloud.demo.programs import ProgramError

LOOK_EACH_S = 1.5
Say = Callable[[str], None]


@dataclass
class Seen:
    """What the cloud said last.

    Attributes:
        alarms: all, by id.
        run: the newest retraining.
        rollouts: all, by id.
    """

    alarms: dict[int, dict[str, Any]] = field(default_factory=dict)
    run: dict[str, Any] | None = None
    rollouts: dict[int, dict[str, Any]] = field(default_factory=dict)


class Watcher:
    """Somebody with the console open.

    Args:
        client: of the cloud.
        model: that is watched.
        say: called with a line for each thing that is new.
        alive: called at each look; raises where a process of the demo has ended.
    """

    def __init__(self, client: Client, model: str, say: Say, alive: Callable[[], None]) -> None:
        self.seen = Seen()
        self._client, self._model, self._say, self._alive = client, model, say, alive
        self._told: set[str] = set()

    def look(self) -> Seen:
        """Return how things are, and say what is new."""
        self._alive()
        for alarm in reversed(self._client.get("/v1/alarms")):
            self.seen.alarms[alarm["id"]] = alarm
            self._tell(f"alarm {alarm['id']}: {alarm['sentence']}", f"alarm {alarm['id']}")
            if alarm["closed"]:
                reason = f"{alarm['closed_by']}: {alarm['reason']}"
                self._tell(f"alarm {alarm['id']} is closed by {reason}")
        for rollout in reversed(self._client.get("/v1/rollouts")):
            self.seen.rollouts[rollout["id"]] = rollout
            name = f"rollout {rollout['id']} of {rollout['model']}:{rollout['version']}"
            key = f"{name} {rollout['state']} {rollout['wave']}"
            wave = f"wave {rollout['wave'] + 1} of {rollout['waves']}"
            self._tell(f"{name}: {rollout['state']}, {wave}: {rollout['reason']}", key)
        self._look_at_runs()
        return self.seen

    def until(self, holds: Callable[[Seen], bool], within_s: float, what: str) -> None:
        """Look until something holds.

        Raises:
            ProgramError: it did not come to that.
        """
        deadline = time.monotonic() + within_s
        while not holds(self.look()):
            if time.monotonic() > deadline:
                raise ProgramError(f"after {within_s:.0f} s it has not come to this: {what}")
            time.sleep(LOOK_EACH_S)

    def go_on(self, for_s: float) -> None:
        """Look for a while."""
        deadline = time.monotonic() + for_s
        while time.monotonic() < deadline:
            self.look()
            time.sleep(LOOK_EACH_S)

    def _look_at_runs(self) -> None:
        runs = self._client.get("/v1/pipelines/runs", model=self._model, limit=1)
        for run in runs:
            found = self._client.get(f"/v1/pipelines/runs/{run['id']}")
            self.seen.run = found
            name = f"retraining {found['number']}"
            because = found["reason"] or f"opened by {found['by']}"
            self._tell(f"{name}: {found['state']}, {because}", f"{name} {found['state']}")
            for step in found["steps"]:
                key = f"{found['id']} {step['name']} {step['state']}"
                self._tell(f"{name}, {step['name']}: {step['state']}. {step['text']}", key)

    def _tell(self, line: str, key: str | None = None) -> None:
        if (key or line) not in self._told:
            self._told.add(key or line)
            self._say(line)
