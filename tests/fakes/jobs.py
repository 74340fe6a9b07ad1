# SPDX-License-Identifier: Apache-2.0
"""Jobs as a director tells them."""

from typing import Any

from msgspec.structs import replace

from insight_edge.documents.job import Bench, Job

NOW_S = 1_800_000_000.0
BUNDLE = f"sha256:{'ab' * 32}"


def job_of(**changes: Any) -> Job:
    """Return a job for the device `cam-1`; fields of its bench are told by name as well."""
    bench = Bench(bundle=BUNDLE)
    mine = {name: changes.pop(name) for name in set(changes) & set(Bench.__struct_fields__)}
    fields: dict[str, Any] = {
        "tenant": "default",
        "device": "cam-1",
        "id": "job-1",
        "expires_s": NOW_S + 60,
        "when": "now",
        "bench": replace(bench, **mine),
    }
    return Job(**(fields | changes))
