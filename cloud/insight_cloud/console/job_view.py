# SPDX-License-Identifier: Apache-2.0
"""What the pages of jobs show: measurements as lines and as a plot with intervals. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from insight_cloud.console import words
from insight_cloud.console.bundle_view import interval_text, p99_text
from insight_cloud.console.tags import Tag, tag_of
from insight_cloud.jobs.job import OPEN, Job, Member, Terms
from insight_cloud.jobs.measurements import Spread
from insight_edge.documents.result import BenchResult


@dataclass(frozen=True, kw_only=True)
class ResultLine:
    """A measurement as it is shown."""

    variant: str
    device: str
    p50: str
    interval: str
    p99: str
    load: str
    rss_bytes: int
    tag: Tag
    reasons: str


def result_lines(results: Sequence[BenchResult]) -> tuple[ResultLine, ...]:
    """Return measurements, the fastest first."""
    ordered = sorted(results, key=lambda one: (one.measurement.p50_ms.value, one.device))
    return tuple(_line(one) for one in ordered)


def measured_chart(results: Sequence[BenchResult]) -> dict[str, Any] | None:
    """Return medians with their intervals, by variant and device; None where there are none."""
    if not results:
        return None
    variants = list(dict.fromkeys(line.variant for line in result_lines(results)))
    devices = sorted({one.device for one in results})
    return {
        "kind": "intervals",
        "labels": variants,
        "axis": "p50 ms",
        "series": [
            {"name": device, "dots": [_dot(variants, r) for r in results if r.device == device]}
            for device in devices
        ],
    }


def spread_text(spread: Spread) -> str:
    """Return how far devices are apart, in a few words."""
    if spread.spread is None:
        return "one device" if spread.devices == 1 else "no VALID measurement"
    share = f"{100 * spread.spread:.1f}\u00a0%"
    return f"{spread.devices} devices, the slowest {share} over the fastest"


def member_tag(member: Member) -> Tag:
    """Return how a device stands in a job, as a tag; the phase where it tells of one."""
    tag = tag_of(member.state.value)
    return Tag(member.phase, tag.kind) if member.state in OPEN and member.phase else tag


def terms_text(job: Job) -> str:
    """Return how a job times, in one line."""
    terms = job.terms
    parts = [
        _scenario_text(terms),
        f"{terms.rounds} rounds",
        "" if terms.iterations is None else f"{terms.iterations} iterations",
        "" if terms.threads is None else f"{terms.threads} threads",
        ", ".join(terms.variants) or "all variants",
        f"at most {words.span(terms.limit_s)} on a device",
        "when a device is idle" if terms.when == "idle" else "at once",
    ]
    return ", ".join(filter(None, parts))


def _scenario_text(terms: Terms) -> str:
    """Return how rows are asked, where it is not one after the other."""
    if terms.scenario == "single-stream":
        return ""
    figures = {
        "{:g} rows at a time": terms.streams,
        "{:g} rows a second": terms.rate_per_s,
        "a row each {:g} ms": terms.period_ms,
        "deadline {:g} ms": terms.deadline_ms,
        "{:g} s": terms.duration_s,
    }
    told = [text.format(value) for text, value in figures.items() if value is not None]
    return " ".join([terms.scenario, f"({', '.join(told)})"] if told else [terms.scenario])


def _line(result: BenchResult) -> ResultLine:
    measured = result.measurement
    return ResultLine(
        variant=result.variant,
        device=result.device,
        p50=f"{words.figure(measured.p50_ms.value)} ms",
        interval=interval_text(measured),
        p99=p99_text(measured),
        load=f"{words.figure(measured.load_ms)} ms",
        rss_bytes=measured.peak_rss_bytes,
        tag=tag_of(measured.verdict),
        reasons="; ".join(measured.reasons),
    )


def _dot(variants: Sequence[str], result: BenchResult) -> dict[str, Any]:
    """Return one median: place of its variant, value, both ends, and the words for it."""
    measured = result.measurement
    p50 = measured.p50_ms
    text = f"{result.device}: {words.figure(p50.value)} ms, {interval_text(measured)}"
    return {
        "value": [variants.index(result.variant), p50.value, p50.low, p50.high],
        "text": f"{text}, {measured.verdict}",
    }
