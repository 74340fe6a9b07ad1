# SPDX-License-Identifier: Apache-2.0
"""The child of an engine: `main` in a process of its own, with a descriptor as its argument.

It opens a bundle and loads a variant as its parent would, within its memory, answers each line in a
thread, and keeps what its engine compiled when it is told to. Its parent holds the other end of its
standard input: the kernel kills it when that closes, also where an engine hangs and holds the
interpreter. What an engine prints goes to stderr.
"""

import fcntl
import os
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from insight_edge.bundle.open import open_bundle
from insight_edge.bundle.priority import come_back
from insight_edge.errors import DigestMismatchError, InsightEdgeError, LoadFailedError
from insight_edge.runtime.child import wire
from insight_edge.runtime.child.area import mapped
from insight_edge.runtime.loading import Loaded, load
from insight_edge.runtime.logs import logger

OOM_SCORE: Final = "500"
"""Where memory is short, the kernel ends a child before a parent that has callers."""

LINE_FDS: Final = 2

Infer = Callable[[dict[str, Any]], dict[str, Any]]


def main(priority: int | None) -> None:
    """Load, say so, and answer lines until the parent hangs up.

    Args:
        priority: to come back to once it has loaded.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    _end_with_parent()
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
    setup = wire.setups.decode(control.recv(wire.MAX_PACKET_BYTES))
    try:
        loaded = opened(setup)
    except InsightEdgeError as error:
        control.send(wire.packet(_refused(error)))
        return
    come_back(priority)
    control.send(wire.packet(wire.Loaded()))
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, 16, LINE_FDS)
        if not said:
            os._exit(0)  # threads may be inside an engine that never comes back
        if said == wire.KEEP:
            keep(loaded)
            continue
        lines = (loaded.session.infer, *descriptors)
        threading.Thread(target=answer, args=lines, daemon=True).start()


def opened(setup: wire.Setup) -> Loaded:
    """Return the variant, loaded.

    Raises:
        InsightEdgeError: as `open_bundle` and `load`.
        DigestMismatchError: another bundle lies there by now.
    """
    if setup.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (setup.memory_bytes, setup.memory_bytes))
    accepted = (setup.digest,) if setup.signed else ()
    try:
        bundle = open_bundle(setup.bundle, allow_unsigned=not setup.signed, accepted=accepted)
        if bundle.digest != setup.digest:
            raise DigestMismatchError(f"{setup.bundle}: another bundle than was opened")
        variant = bundle.variant(setup.variant)
        cache = None if setup.cache is None else Path(setup.cache)
        return load(replace(bundle, cache=cache), variant, threads=setup.threads)
    except MemoryError as error:
        raise LoadFailedError(f"{setup.variant}: there is not enough memory") from error


def keep(loaded: Loaded) -> None:
    """Keep what the engine compiled, where that is not kept already."""
    try:
        if loaded.keep is not None:
            loaded.keep()
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; it serves all the same)
        logger(__name__).warning("no cache to keep: %s: %s", type(error).__name__, error)


def answer(infer: Infer, line: int, area: int) -> None:
    """Answer the calls of one line until it is hung up."""
    memory = mapped(area)
    os.close(area)
    last, inputs, end = b"", dict[str, Any](), 0
    with socket.socket(fileno=line) as theirs, suppress(OSError):
        while packet := theirs.recv(wire.MAX_PACKET_BYTES):
            if packet != last:
                tensors = wire.asked.decode(packet)
                inputs, last = wire.views(tensors, memory), packet
                end = max((one.at + inputs[one.name].nbytes for one in tensors), default=0)
            theirs.send(reply(infer, inputs, memory, end))


def reply(infer: Infer, inputs: dict[str, Any], memory: Any, end: int) -> bytes:
    """Return the packet that says what became of a call; its outputs lie behind its inputs."""
    try:
        outputs = infer(inputs)
        tensors, needed = wire.placed(outputs, end)
        if needed > len(memory):
            return wire.packet(wire.Narrow(needed))
        for place, output in zip(
            wire.views(tensors, memory).values(), outputs.values(), strict=True
        ):
            place[...] = output
        return wire.packet(wire.Answered(tensors))
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; its caller is told)
        return wire.packet(wire.Failed(f"{type(error).__name__}: {error}"[: wire.MAX_WORDS]))


def _refused(error: InsightEdgeError) -> wire.Refused:
    cause = error.__cause__
    return wire.Refused(
        kind=type(error).__name__,
        message=str(error)[: wire.MAX_WORDS],
        hint=error.hint,
        cause=None if cause is None else f"{type(cause).__name__}: {cause}"[: wire.MAX_WORDS],
    )


def _end_with_parent() -> None:
    """Have the kernel kill this process when the other end of standard input closes."""
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    watched = select.poll()
    watched.register(0, select.POLLIN)
    if watched.poll(0):  # it closed before
        os._exit(0)
