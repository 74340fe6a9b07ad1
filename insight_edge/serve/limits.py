# SPDX-License-Identifier: Apache-2.0
"""Upper bounds of what clients may take of the server: bytes, connections, time."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds, each checked before the bytes or seconds that it bounds are spent.

    Attributes:
        head_bytes: of a request line and its fields.
        body_bytes: of one body, compressed or not.
        buffered_bytes: of all bodies that are being received or answered, together.
        connections: at once; one more is told to come back.
        head_s: in which a head once begun is whole.
        body_s: in which a body is whole, and one second more for each `slowest_bytes`.
        idle_s: between requests.
        write_s: in which a client takes something of its answer.
        drain_s: for requests under way once the server is told to end.
        tick_s: between two looks at who is late.
    """

    head_bytes: int = 16 * 1024
    body_bytes: int = 64 * MIB
    buffered_bytes: int = 256 * MIB
    connections: int = 128
    head_s: float = 10.0
    body_s: float = 10.0
    slowest_bytes: int = 64 * 1024
    idle_s: float = 75.0
    write_s: float = 30.0
    drain_s: float = 10.0
    tick_s: float = 0.5

    def body_time_s(self, length_bytes: int) -> float:
        """Return how long a body of a length may take to arrive."""
        return self.body_s + length_bytes / self.slowest_bytes
