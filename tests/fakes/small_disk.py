# SPDX-License-Identifier: Apache-2.0
"""A disk of some megabytes under a device's state, and what fills it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from insight_edge.fleet.identity import identity_of, keep_identity


@contextmanager
def small_disk_at(state: Path, *, megabytes: int = 40) -> Iterator[None]:
    """Let an enrolled device's state lie on a disk of its own; skip where that is not permitted."""
    identity = identity_of(state)
    size = f"size={megabytes}m,mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(state)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"there is no mount program: {error}")
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    try:
        keep_identity(state, identity)
        yield
    finally:
        subprocess.run(["umount", str(state)], check=True)


def fill(path: Path, *, leaving_bytes: int = 0) -> None:
    """Write until not one byte more goes on the disk, then give some back."""
    with path.open("wb", buffering=0) as ballast:
        with suppress(OSError):
            while ballast.write(b"x" * 4096):
                pass
        ballast.truncate(max(0, ballast.tell() - leaving_bytes))
