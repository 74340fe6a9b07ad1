# SPDX-License-Identifier: Apache-2.0
"""What a device says of itself at birth."""

from insight_edge.documents.codec import Document, Versioned


class EngineFacts(Document, frozen=True, kw_only=True):
    """An engine that can be loaded on this machine.

    Attributes:
        name: its token.
        version: of the library.
        precisions: that the CPU or accelerator has an advantage from.
    """

    name: str
    version: str
    precisions: tuple[str, ...] = ()


class Missing(Document, frozen=True, kw_only=True):
    """A plug-in that is declared and cannot be loaded here, with the reason."""

    name: str
    reason: str


class Facts(Versioned, frozen=True, kw_only=True):
    """What is true of a machine now.

    Attributes:
        arch: as `uname -m` says.
        isa: CPU extensions as Linux names them.
        cores: processors this process may use.
        memory_bytes: that this process may use (the least of machine and cgroup).
        accelerators: model names.
        engines: by token.
    """

    arch: str
    cpu_model: str
    isa: tuple[str, ...]
    cores: int
    memory_bytes: int
    os: str
    accelerators: tuple[str, ...] = ()
    engines: dict[str, EngineFacts] = {}
