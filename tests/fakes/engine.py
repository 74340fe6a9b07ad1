# SPDX-License-Identifier: Apache-2.0
"""An engine of a few lines that a child process finds as it finds any other, by entry point.

It computes `y = relu(x @ w + shift)` and `top = argmax(x @ w + shift)`. Where the
variant's settings say so, one call misbehaves: `{"at": "7", "do": "die"}`.
"""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.bundle.open import Bundle
from insight_edge.documents.facts import EngineFacts
from insight_edge.documents.manifest import Variant

TOKEN = "fake"
VERSION = "1.2.3"

Array = NDArray[Any]
Arrays = Mapping[str, Array]


class FakeEngine:
    """Loads a matrix."""

    def facts(self) -> EngineFacts:
        return EngineFacts(name=TOKEN, version=VERSION)

    def load(self, bundle: Bundle, variant: Variant, *, threads: int) -> "FakeSession":
        del threads
        return FakeSession(np.load(bundle.file(variant.entry)), variant.settings)


class FakeSession:
    """One loaded matrix."""

    def __init__(self, weights: Array, settings: Mapping[str, str]) -> None:
        self._weights = weights
        self._calls = count()
        self._at, self._do = int(settings.get("at", -1)), settings.get("do", "")

    def infer(self, inputs: Arrays) -> dict[str, Array]:
        if next(self._calls) == self._at:
            MISBEHAVIOURS[self._do]()
        return answers(inputs, self._weights)

    def close(self) -> None:
        del self._weights


def answers(inputs: Arrays, weights: Array) -> dict[str, Array]:
    """Return what every artifact of these weights must answer."""
    # einsum, because BLAS would start threads that nobody asked for.
    linear = np.einsum("nc,ck->nk", inputs["x"], weights) + inputs["shift"]
    return {"y": np.maximum(linear, 0), "top": np.argmax(linear, axis=1, keepdims=True)}


def _die() -> None:
    sys.stderr.write("its last words\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    threading.Event().wait()


def _fail() -> None:
    raise ArithmeticError("planted\nand more that nobody reads")


def _chatter() -> None:
    sys.stdout.write("noise of an engine\n")
    sys.stdout.flush()
    os.write(1, b"more of it\n")


def _fall_silent() -> None:
    """Close all descriptors but the standard three, among them the one that replies go to."""
    os.closerange(3, 256)
    _hang()


MISBEHAVIOURS = {
    "die": _die,
    "hang": _hang,
    "fail": _fail,
    "chatter": _chatter,
    "fall silent": _fall_silent,
}
