# SPDX-License-Identifier: Apache-2.0
"""The claim on a directory: one runtime host, one agent, one builder of it at a time.

Held by a lock that the kernel frees when the process ends, however it ends.
"""

import fcntl
import os
from pathlib import Path
from typing import Literal

from insight_edge.errors import ConfigurationError, StorageError

Who = Literal["host", "agent", "builder"]


class Claim:
    """Holds the directory until `release`.

    Raises:
        ConfigurationError: another one holds it.
        StorageError: the lock file cannot be made.
    """

    def __init__(self, state_dir: Path, who: Who) -> None:
        path = state_dir / f"{who}.lock"
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path}: cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise ConfigurationError(
                f"{state_dir}: another {'runtime host' if who == 'host' else who} is using it",
                hint="stop it, or give this one a directory of its own",
            ) from error

    def release(self) -> None:
        """Let the next one have the directory."""
        os.close(self._fd)
