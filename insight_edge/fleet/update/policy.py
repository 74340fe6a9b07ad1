# SPDX-License-Identifier: Apache-2.0
"""How patient an update is: pauses between attempts, and what probation asks for."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Figures of the update protocol.

    Attributes:
        retry_first_s: pause after the first failed attempt; each further one doubles it.
        retry_most_s: the longest pause.
        jitter: 0 to 1, this device's own: its pauses are longer by that share, so that a fleet
            does not come back in step.
        gain_bytes: an attempt that fetched so much was no failure of the link's as a whole, and
            the pauses start small again.
        probation_s: a new bundle serves at least so long before it is committed.
        probation_most_s: after this it is committed with fewer answers than are needed to judge.
        least_answered: calls before p99 and the whole are judged.
        least_asked: calls before the share of failed ones is judged.
        most_failed_share: of the calls asked.
        p99_factor, p99_slack_ms: p99 may be this many times the old bundle's, and so much more.
        memory_factor, memory_slack_bytes: the same of resident memory.
        most_breaches: times in a row that p99 or memory is too high before it counts; p99 is judged
            on answers that were not judged before.
        most_losses: times that the host is lost with a new bundle before that is given up.
        longest_step_s: time between two events that counts as spent in probation; a clock that
            jumps counts as this.
    """

    retry_first_s: float = 10.0
    retry_most_s: float = 3600.0
    jitter: float = 0.0
    gain_bytes: int = 256 * 1024
    probation_s: float = 600.0
    probation_most_s: float = 24 * 3600.0
    least_answered: int = 100
    least_asked: int = 20
    most_failed_share: float = 0.02
    p99_factor: float = 2.0
    p99_slack_ms: float = 1.0
    memory_factor: float = 1.5
    memory_slack_bytes: int = 64 * MIB
    most_breaches: int = 3
    most_losses: int = 3
    longest_step_s: float = 60.0

    def pause_s(self, attempts: int) -> float:
        """Return how long to wait after that many failed attempts in a row."""
        doubled_s = self.retry_first_s * 2.0 ** min(max(attempts - 1, 0), 60)
        return min(doubled_s, self.retry_most_s) * (1.0 + self.jitter)

    def is_due(self, at_s: float | None, now_s: float) -> bool:
        """Return whether it is time.

        A time further away than any pause was set by a clock that has jumped since.
        """
        if at_s is None:
            return True
        return now_s >= at_s or at_s - now_s > self.retry_most_s * (1.0 + self.jitter)
