# SPDX-License-Identifier: Apache-2.0
"""Read the body of a request within a limit, whatever its headers say."""

from fastapi import Request

from insight_edge.errors import LimitExceededError


async def read_body(request: Request, *, at_most: int) -> bytes:
    """Return the body.

    Raises:
        LimitExceededError: it is longer; the rest is not read.
    """
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > at_most:
            raise LimitExceededError(f"the body is longer than {at_most} bytes")
    return bytes(data)
