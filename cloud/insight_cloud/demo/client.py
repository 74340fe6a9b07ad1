# SPDX-License-Identifier: Apache-2.0
"""The cloud's API as a person's program calls it, with a token.

Requests are few and small; a cloud that is just being started again is asked again.
"""

import time
from typing import Any

import urllib3

from insight_cloud.demo.programs import ProgramError

PATIENCE_S = 120.0
PAUSE_S = 0.3
TIMEOUT = urllib3.Timeout(connect=5.0, read=30.0)


class Client:
    """One installation over HTTP; threads may share it.

    Args:
        address: of its door, `http://127.0.0.1:8080`.
        token: of an operator.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self._pool = urllib3.PoolManager(
            headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT, retries=False, maxsize=4
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return what is there; raises as `post`."""
        return self._ask("GET", path, fields=query or None)

    def post(self, path: str, body: object) -> Any:
        """Ask for something, and return the answer.

        Raises:
            ProgramError: it is refused, or nobody answers for a while.
        """
        return self._ask("POST", path, json=body)

    def put(self, path: str, body: object) -> Any:
        """Say how something is from now on; raises as `post`."""
        return self._ask("PUT", path, json=body)

    def close(self) -> None:
        """Close what is open."""
        self._pool.clear()

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._pool.request(method, self.address + path, **more)
            except urllib3.exceptions.HTTPError as error:
                if time.monotonic() > deadline:
                    raise ProgramError(f"{path}: nobody answers: {error}") from error
                time.sleep(PAUSE_S)
                continue
            if answer.status >= 400:
                said = answer.data[:500].decode(errors="replace")
                raise ProgramError(f"{method} {path}: {answer.status}: {said}")
            return answer.json() if answer.data else None
