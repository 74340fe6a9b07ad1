# SPDX-License-Identifier: Apache-2.0
"""Everything that the bytes of an artifact depend on, and the key that a build is kept under.

Where files lie, what a profile costs, is called or may take, and what is done
with an artifact afterwards are none of it. The key is the digest of the rest.
"""

import platform
from typing import Any

from insight_edge.compile.job import BuildJob
from insight_edge.compile.plugins.code_digest import code_digest
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.codec import Document, digest, encode_json, to_plain
from insight_edge.runtime.processor import isa_extensions

NO_INGREDIENTS = ("model", "original", "calibration", "shared", "keep", "format")
"""Of a job: where its files lie, and what becomes of what the build leaves behind."""


class Ingredients(Document, frozen=True, kw_only=True):
    """What goes into one build.

    Attributes:
        job: its fields that matter, as plain values.
        toolchain: versions by distribution.
        lock: digest of the lock of the toolchain's environment; empty where it has none.
        code: digest of our own code that the build runs; empty where it is not here.
        machine: architecture and extensions of the machine that builds.
    """

    job: dict[str, Any]
    toolchain: dict[str, str] = {}  # noqa: RUF012 (msgspec copies it)
    lock: str = ""
    code: str = ""
    machine: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`sha256:…`, the same for the same ingredients alone."""
        return digest(encode_json(self))


def ingredients_of(job: BuildJob, toolchain: Toolchain) -> Ingredients:
    """Return what a build of a job in a toolchain, on the machine that has it, depends on."""
    plain = to_plain(job)
    here = (platform.machine(), *sorted(isa_extensions()))
    return Ingredients(
        job={name: plain[name] for name in plain if name not in NO_INGREDIENTS},
        toolchain=dict(toolchain.versions),
        lock=toolchain.lock,
        code=code_digest(job.plugin) if toolchain.code is None else toolchain.code,
        machine=here if toolchain.machine is None else toolchain.machine,
    )
