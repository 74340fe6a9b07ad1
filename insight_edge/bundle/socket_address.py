# SPDX-License-Identifier: Apache-2.0
"""The address of a Unix socket in a directory whose path may be of any length.

The kernel takes 107 bytes. A longer path is reached through a descriptor of its
directory, which Linux shows as a short one. Nothing here binds or connects.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MAX_ADDRESS_BYTES: Final = 107
"""Of `sun_path` in unix(7), without the zero at its end."""


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Give what to bind or connect to for a socket at `path`; good inside the block alone.

    Raises:
        OSError: its directory is not there, or may not be entered.
    """
    if len(os.fsencode(path)) <= MAX_ADDRESS_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
