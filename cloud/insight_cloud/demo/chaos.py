# SPDX-License-Identifier: Apache-2.0
"""Kill one process after the other, each at a seeded moment, as a power cut would.

Of the cloud's processes their supervisor starts the next; the agent and the
application of a device are started again here, as an init system would. The
world that a restarted application sees is the one that there is by now.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Self

from insight_cloud.demo.processes import kill_child
from insight_cloud.demo.stage import Stage

CLOUD = {
    "ingester": "insight_cloud.worker.ingester",
    "worker": "insight_cloud.worker.main",
    "broker": "insight_cloud.platform.broker_child",
    "api": "insight_cloud.app.main",
}
VICTIMS = (*CLOUD, "agent", "application")
SOONEST_S = 1.0


class Chaos:
    """Kills until it is told to stop; a context manager.

    Args:
        stage: whose processes are killed.
        seed: of the order and the moments.
        each_s: between two kills, on average.
        rounds: how often each is killed; None is without end.
        say: called with a line for each kill.
    """

    def __init__(
        self,
        stage: Stage,
        seed: int,
        each_s: float,
        say: Callable[[str], None],
        *,
        rounds: int | None = None,
    ) -> None:
        self.kills: Counter[str] = Counter()
        self._stage, self._each_s, self._say = stage, each_s, say
        self._rounds = rounds
        self._random = random.Random(seed)  # noqa: S311 - the same kills for the same seed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._stage.forgiving = True
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything running."""
        self._stop.set()
        self._thread.join()
        self._stage.forgiving = False

    def _run(self) -> None:
        waiting: list[str] = []
        while not self._stop.wait(SOONEST_S + self._random.expovariate(1 / self._each_s)):
            if self._rounds is not None and sum(self.kills.values()) >= self._rounds * len(VICTIMS):
                return
            if not waiting:
                waiting = self._random.sample(VICTIMS, len(VICTIMS))
            if self._kill(waiting[-1]):
                self.kills[waiting.pop()] += 1

    def _kill(self, victim: str) -> bool:
        if victim in CLOUD:
            self._say(f"kill -9 of the {victim}")
            return kill_child(self._stage.cloud, CLOUD[victim])
        device = self._random.choice(self._stage.devices)
        self._say(f"kill -9 of the {victim} of {device.name}")
        if victim == "agent":
            device.agent.kill()
            device.agent.start()
        else:
            self._stage.restart_application(device)
        return True
