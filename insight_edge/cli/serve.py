# SPDX-License-Identifier: Apache-2.0
"""Verb `serve`: answer over HTTP, so that programs in any language can ask.

The room `serve` does the work; here are flags and what a person sees. The address goes to
stdout, once it can be asked.
"""

import gc
import logging
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from insight_edge.cli.screen import err
from insight_edge.errors import ConfigurationError
from insight_edge.runtime.infer import Runtime
from insight_edge.runtime.isolation import Isolation
from insight_edge.runtime.processor import usable_threads
from insight_edge.serve.door import door
from insight_edge.serve.limits import MIB, Limits
from insight_edge.serve.server import Server

LEAST_CALLS = 2
"""While one call is in the engine, the body of another is read."""

SWITCH_S = 0.0005
"""A thread that counts statistics gives way after this long; Python's own 5 ms are a p99."""


def serve(
    bundle: Path | None = None,
    *,
    state: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    socket: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    token_file: Path | None = None,
    name: str | None = None,
    threads: int | None = None,
    child: Annotated[bool, Parameter(negative="")] = False,
    child_memory_mb: int | None = None,
    calls: int | None = None,
    waiting: int = 64,
    max_body_mb: int = 64,
    allow_unsigned: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Serve a bundle, or what an agent installs, by the Open Inference Protocol until SIGTERM.

    A BUNDLE may be unsigned; what an agent installs may not. The agent swaps it while it serves.

    Args:
        bundle: directory of a bundle, instead of --state.
        state: state directory of a deployment, as `agent enroll` tells it.
        host: address to listen on; any but loopback needs --certificate, --key, --token-file.
        port: to listen on; 0 for any that is free.
        socket: path of a Unix socket to listen on, instead of a port.
        certificate: PEM file of the server's certificate.
        key: PEM file of its key.
        token_file: file with a token that clients have to show.
        name: what clients call the model; the name in its manifest by default.
        threads: of the engine for a call; as many as this process may use by default.
        child: run the engine in a process of its own; where it ends, only its calls fail.
        child_memory_mb: the most MiB of that process's own memory; implies --child.
        calls: at once; by default as many as there are processors for, 2 or more.
        waiting: calls that wait for their turn before others are told to come back.
        max_body_mb: the most MiB of a body.
        allow_unsigned: of --state, too.
    """
    if (bundle is None) == (state is None):
        raise ConfigurationError("serve a BUNDLE or a --state directory, one of them")
    own_threads = usable_threads() if threads is None else threads
    at_once = max(LEAST_CALLS, usable_threads() // max(1, own_threads)) if calls is None else calls
    if min(own_threads, at_once, max_body_mb) < 1 or waiting < 0:
        raise ConfigurationError("threads, calls and max-body-mb are 1 or more, waiting 0 or more")
    isolation = _isolation(child_memory_mb) if child or child_memory_mb is not None else None
    place, access = door(
        host=host, port=port, socket=socket, certificate=certificate, key=key, token_file=token_file
    )
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    with _runtime(
        bundle,
        state,
        allow_unsigned=allow_unsigned,
        threads=own_threads,
        isolation=isolation,
    ) as runtime:
        server = Server(
            runtime,
            place,
            access=access,
            limits=_limits(max_body_mb),
            name=name,
            threads=at_once,
            waiting=waiting,
        )
        sys.setswitchinterval(SWITCH_S)
        gc.freeze()
        server.run(lambda address: _announce(runtime, address))


def _runtime(
    bundle: Path | None,
    state: Path | None,
    *,
    allow_unsigned: bool,
    threads: int,
    isolation: Isolation | None,
) -> Runtime:
    if bundle is not None:
        return Runtime.open(bundle, allow_unsigned=True, threads=threads, isolation=isolation)
    assert state is not None  # noqa: S101 (for types alone)
    return Runtime.attach(
        state, allow_unsigned=allow_unsigned, threads=threads, isolation=isolation
    )


def _isolation(memory_mb: int | None) -> Isolation:
    if memory_mb is not None and memory_mb < 1:
        raise ConfigurationError("child-memory-mb is 1 or more")
    return Isolation(memory_bytes=None if memory_mb is None else memory_mb * MIB)


def _limits(max_body_mb: int) -> Limits:
    body_bytes = max_body_mb * MIB
    return Limits(body_bytes=body_bytes, buffered_bytes=4 * body_bytes)


def _announce(runtime: Runtime, address: str) -> None:
    served = runtime.served
    if served is None:
        err.print(f"nothing serves yet; on {address}")
    else:
        model = served.manifest.model
        signed = "signed" if served.signed else "unsigned"
        err.print(f"{model.name} version {model.version} ({signed}), {served.variant}; {address}")
    sys.stdout.write(address + "\n")
    sys.stdout.flush()
