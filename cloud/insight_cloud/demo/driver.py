# SPDX-License-Identifier: Apache-2.0
"""Stand in for the device agent: stage a bundle, ask the host to activate it, take its reports.

It downloads nothing, checks no signature, keeps no journal and decides nothing.
"""

import time
from pathlib import Path

from insight_edge.bundle.slots import Slots
from insight_edge.documents.host import Refused, SwapRecord
from insight_edge.documents.report import Report
from insight_edge.errors import UpdateError
from insight_edge.fleet.hostlink import HostLink


def swap(state: Path, bundle: Path) -> tuple[SwapRecord, int, int]:
    """Stage and activate a bundle; return the record and when it began and ended.

    Times are of the monotonic clock, in nanoseconds.

    Raises:
        UpdateError: the host refused it.
        HostError: the host is not there.
    """
    slot = Slots(state).stage(bundle)
    with HostLink(state) as host:
        began_ns = time.monotonic_ns()
        answer = host.activate(slot)
        ended_ns = time.monotonic_ns()
    if isinstance(answer, Refused):
        raise UpdateError(f"the host refused it in {answer.phase}: {answer.reason}")
    return answer.record, began_ns, ended_ns


def take_reports(state: Path) -> tuple[Report, ...]:
    """Close the open window and return the reports of all windows, the oldest first.

    Raises:
        HostError: the host is not there.
    """
    reports: list[Report] = []
    with HostLink(state) as host:
        while (report := host.take_report()) is not None:
            reports.append(report)
    return tuple(reports)
