# SPDX-License-Identifier: Apache-2.0
"""The plan of a server from the flags of `agent serve`, refused now where it would be later."""

from pathlib import Path

from insight_edge.documents.serve_plan import ServePlan
from insight_edge.errors import ConfigurationError
from insight_edge.serve.door import door


def plan_of(
    *,
    host: str | None,
    port: int | None,
    socket: Path | None,
    certificate: Path | None,
    key: Path | None,
    token_file: Path | None,
    name: str | None,
    threads: int | None,
    child: bool,
    child_memory_mb: int | None,
) -> ServePlan:
    """Return the plan; its paths are absolute, since the agent runs elsewhere.

    Raises:
        ConfigurationError: the server would not start with these flags.
    """
    if socket is not None and (host is not None or port is not None):
        raise ConfigurationError("a Unix socket has no host and no port", hint="leave them out")
    if port == 0:
        raise ConfigurationError("nobody would know which port it is", hint="name a port")
    if threads is not None and threads < 1:
        raise ConfigurationError("threads are 1 or more")
    if child_memory_mb is not None and child_memory_mb < 1:
        raise ConfigurationError("child-memory-mb is 1 or more")
    door(
        host=host or "127.0.0.1",
        port=8000 if port is None else port,
        socket=socket,
        certificate=certificate,
        key=key,
        token_file=token_file,
    )
    return ServePlan(
        host=host,
        port=port,
        socket=_absolute(socket),
        certificate=_absolute(certificate),
        key=_absolute(key),
        token_file=_absolute(token_file),
        name=name,
        threads=threads,
        child=child,
        child_memory_mb=child_memory_mb,
    )


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
