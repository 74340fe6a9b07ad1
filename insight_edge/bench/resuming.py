# SPDX-License-Identifier: Apache-2.0
"""What need not be measured again, since a file of results has it: pure.

The same is the same bundle, variant, release and engine, under the same conditions, asked for at
least as much. Only what is VALID counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from insight_edge.bench.conditions import Conditions, conditions_of, software_of
from insight_edge.bench.timing import Scheme
from insight_edge.documents.evidence import Measurement
from insight_edge.documents.result import BenchResult

LASTED = 0.9
"""Of a duration that was asked for: it is told by the calls that it holds, which vary."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be measured.

    Attributes:
        bundle: digest of its manifest.
        variant: its name.
        conditions: under which.
        software: what it depends on that an update may change.
        scheme: how it is timed.
    """

    bundle: str
    variant: str
    conditions: Conditions
    software: dict[str, str]
    scheme: Scheme


def measured_already(results: Iterable[BenchResult], wanted: Wanted) -> BenchResult | None:
    """Return the latest result that makes measuring again needless; None for none."""
    fitting = [one for one in results if _is_it(one, wanted)]
    return max(fitting, key=lambda one: one.at_s, default=None)


def _is_it(found: BenchResult, wanted: Wanted) -> bool:
    return (
        found.measurement.verdict == "VALID"
        and (found.bundle, found.variant) == (wanted.bundle, wanted.variant)
        and software_of(found) == wanted.software
        and conditions_of(found) == wanted.conditions
        and _has_as_much(found.measurement, wanted.scheme)
    )


def _has_as_much(found: Measurement, scheme: Scheme) -> bool:
    percents = {one.percent for one in found.percentiles}
    sustained_s = found.sustained.duration_s if found.sustained else 0.0
    return (
        found.rounds >= scheme.rounds
        and found.iterations >= (scheme.iterations or 0)
        and _lasted_s(found) >= LASTED * (scheme.duration_s or 0.0)
        and percents >= set(scheme.percents)
        and sustained_s >= (scheme.sustained_s or 0.0)
        and (scheme.energy_s is None or bool(found.energy or found.energy_absent))
    )


def _lasted_s(found: Measurement) -> float:
    if found.load is not None:
        return found.load.offered / max(found.load.offered_per_s, 1e-9)
    return found.iterations * found.mean_ms / 1e3
