# SPDX-License-Identifier: Apache-2.0
"""An engine of a few lines that a child process finds as it finds any other, by entry point.

It computes `y = relu(x @ w + shift)` and `top = argmax(x @ w + shift)`. Where the
variant's settings say so, one call misbehaves, `{"at": "7", "do": "die"}`, every third one
takes 500 us longer, `{"every": "3", "spin_us": "500"}`, or each one longer than the one before,
`{"growing_us": "0.5"}`. `{"evicted": "1"}` has it find its artifact evicted from memory, each time;
`{"load": "die"}` has it misbehave before that.
"""

import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
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
        if "load" in variant.settings:
            MISBEHAVIOURS[variant.settings["load"]]()
        path = bundle.file(variant.entry)
        evicted = Evicted(path) if "evicted" in variant.settings else None
        return FakeSession(np.load(path), variant.settings, evicted)


class FakeSession:
    """One loaded matrix."""

    def __init__(
        self, weights: Array, settings: Mapping[str, str], evicted: "Evicted | None" = None
    ) -> None:
        self._weights, self._evicted = weights, evicted
        self._calls = count()
        self._at, self._do = int(settings.get("at", -1)), settings.get("do", "")

        self._every, self._spin_us = (
            int(settings.get("every", 0)),
            float(settings.get("spin_us", 0)),
        )
        self._growing_us = float(settings.get("growing_us", 0))

    def infer(self, inputs: Arrays) -> dict[str, Array]:
        call = next(self._calls)
        if call == self._at:
            MISBEHAVIOURS[self._do]()
        if self._every and call % self._every == 0:
            _spin(self._spin_us)
        if self._evicted:
            self._evicted.read_back()
        if self._growing_us:
            _spin(self._growing_us * call)
        return answers(inputs, self._weights)

    def close(self) -> None:
        del self._weights


class Evicted:
    """A file whose pages the kernel is told to forget, and that is then read by its mapping."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        os.fsync(self._fd)
        self._pages = mmap.mmap(self._fd, 0, prot=mmap.PROT_READ)

    def read_back(self) -> int:
        self._pages.madvise(mmap.MADV_DONTNEED)
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return self._pages[0]


def answers(inputs: Arrays, weights: Array) -> dict[str, Array]:
    """Return what every artifact of these weights must answer."""
    # einsum, because BLAS would start threads that nobody asked for.
    linear = np.einsum("nc,ck->nk", inputs["x"], weights) + inputs["shift"]
    return {"y": np.maximum(linear, 0), "top": np.argmax(linear, axis=1, keepdims=True)}


def _spin(duration_us: float) -> None:
    end = time.perf_counter_ns() + duration_us * 1e3
    while time.perf_counter_ns() < end:
        pass


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


def _gorge() -> None:
    """Take memory until there is none; given back with the error."""
    taken = []
    while True:
        taken.append(bytearray(16 << 20))


MISBEHAVIOURS = {
    "gorge": _gorge,
    "die": _die,
    "hang": _hang,
    "fail": _fail,
    "chatter": _chatter,
    "fall silent": _fall_silent,
}
