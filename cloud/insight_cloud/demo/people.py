# SPDX-License-Identifier: Apache-2.0
"""Somebody at the console: looks at one input after the other and says what it shows.

They know an image when they see it, which the demo stands in for by a book of
pixels; of images that are not in the book they say that they cannot use them.
They take their time.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from insight_cloud.demo.client import Client
from insight_cloud.demo.programs import ProgramError

LOOK_EACH_S = 0.5


@dataclass
class Work:
    """What was done so far."""

    labelled: int = 0
    unusable: int = 0


class Labeller:
    """A person in a thread of their own; a context manager.

    Args:
        client: of the cloud.
        model: whose inputs they look at.
        book: label by the pixels of an image.
        begins_s: after the first question, before they come to it.
        each_s: that one image takes them.
    """

    def __init__(
        self,
        client: Client,
        model: str,
        book: Mapping[bytes, int],
        *,
        begins_s: float,
        each_s: float,
    ) -> None:
        self.work = Work()
        self._client, self._model, self._book = client, model, book
        self._begins_s, self._each_s = begins_s, each_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labeller", daemon=True)

    def __enter__(self) -> Self:
        """Let them begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let them go home."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        idle = True
        while not self._stop.is_set():
            try:
                task = self._client.post("/v1/labels/tasks/next", {"model": self._model})["task"]
                if task is None:
                    self._stop.wait(LOOK_EACH_S)
                    continue
                self._stop.wait(self._begins_s if idle else self._each_s)
                idle = False
                self._answer(task)
            except ProgramError:  # the cloud is away, or somebody else has the task by now
                self._stop.wait(LOOK_EACH_S)

    def _answer(self, task: dict[str, Any]) -> None:
        label = self._book.get(self._pixels(task["id"]))
        if label is None:
            answer: dict[str, Any] = {"kind": "unusable", "reason": "not in the label pool"}
            self.work.unusable += 1
        else:
            answer = {"kind": "label", "label": label}
            self.work.labelled += 1
        self._client.post(f"/v1/labels/tasks/{task['id']}/answer", answer)

    def _pixels(self, task: str) -> bytes:
        inputs = self._client.get(f"/v1/labels/tasks/{task}/input")
        [image] = inputs.values()
        return np.array(image["values"], image["dtype"]).tobytes()
