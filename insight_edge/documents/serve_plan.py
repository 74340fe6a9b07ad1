# SPDX-License-Identifier: Apache-2.0
"""What an agent keeps running for a deployment: `insight-edge serve`, and where it listens."""

from insight_edge.documents.codec import Versioned


class ServePlan(Versioned, frozen=True, kw_only=True):
    """The flags of a server that an agent looks after; None is the verb's own default.

    Attributes:
        host: address to listen on.
        port: to listen on.
        socket: path of a Unix socket to listen on, instead of a port.
        certificate: path of the server's certificate.
        key: path of its key.
        token_file: path of a file with a token that clients have to show.
        name: what clients call the model.
        threads: of the engine for a call.
        child: whether the engine runs in a process of its own.
        child_memory_mb: the most MiB of that process's own memory.
    """

    host: str | None = None
    port: int | None = None
    socket: str | None = None
    certificate: str | None = None
    key: str | None = None
    token_file: str | None = None
    name: str | None = None
    threads: int | None = None
    child: bool = False
    child_memory_mb: int | None = None


def serve_words(plan: ServePlan) -> list[str]:
    """Return the flags of `insight-edge serve` that a plan asks for."""
    flags = {
        "--host": plan.host,
        "--port": plan.port,
        "--socket": plan.socket,
        "--certificate": plan.certificate,
        "--key": plan.key,
        "--token-file": plan.token_file,
        "--name": plan.name,
        "--threads": plan.threads,
        "--child-memory-mb": plan.child_memory_mb,
    }
    # Joined by "=", so that no value is taken for a flag.
    words = [f"{flag}={value}" for flag, value in flags.items() if value is not None]
    return [*words, *(["--child"] if plan.child else [])]
