# SPDX-License-Identifier: Apache-2.0
"""What another tool reports of a model: a line of a result file that nobody here measured.

Only what the report says is in it, and what it does not say is absent: there are no rounds, no
noise and no artifact that could be compared. So it is no `BenchResult`, and is never taken for one.
"""

from insight_edge.documents.codec import Versioned

UNVERIFIED = "unverified"
"""The one verdict of what is reported."""


class ForeignResult(Versioned, frozen=True, kw_only=True):
    """Figures of one run of another tool.

    Attributes:
        reported_by: the tool; no other document has a field of that name.
        source: name of the report's file.
        sha256: its digest.
        model, device, target, scenario: as the tool spells them; empty where it does not say.
        precision: that was computed in.
        threads, iterations: None where it does not say.
        latency_ms: by name, `p50`, `mean`, `p99`, `min`.
        throughput_per_s: of `throughput_of`.
        said: the tool's own verdict; empty where it has none.
    """

    reported_by: str
    source: str
    sha256: str
    model: str = ""
    device: str = ""
    target: str = ""
    precision: str = ""
    scenario: str = ""
    threads: int | None = None
    iterations: int | None = None
    latency_ms: dict[str, float] = {}
    throughput_per_s: float | None = None
    throughput_of: str = "inferences"
    said: str = ""
