# SPDX-License-Identifier: Apache-2.0
"""Counts as Prometheus reads them, version 0.0.4 of its text format: pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from insight_edge.serve.tally import BOUNDS_S, ModelTally, Tally

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "insight_edge_serve_"

_PHASES: Final = ("queue", "input", "infer", "output")

Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """One line of a family; `suffix` is of its name."""

    labels: Labels
    value: float
    suffix: str = ""


def exposition(tally: Tally, gauges: Mapping[str, tuple[str, float]]) -> str:
    """Return all counts, and values of the moment: what each means, and its value, by name."""
    families = [
        _family("requests_total", "counter", "Requests by endpoint and status.", _requests(tally)),
        _family("calls_total", "counter", "Calls of infer by how they ended.", _calls(tally)),
        _family("rows_total", "counter", "Rows that were answered.", _rows(tally)),
        _family(
            "phase_seconds_total", "counter", "Where answered calls spent time.", _spent(tally)
        ),
        _family("call_seconds", "histogram", "From in line to answered.", _durations(tally)),
        *(
            _family(name, "gauge", help_, [Sample((), value)])
            for name, (help_, value) in gauges.items()
        ),
    ]
    return "".join(line + "\n" for family in families for line in family)


def _family(name: str, kind: str, help_: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {help_}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for labels, value, suffix in samples:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield f"{PREFIX}{name}{suffix}{'{' + told + '}' if told else ''} {value:.10g}"


def _requests(tally: Tally) -> Iterator[Sample]:
    for (endpoint, status), count in sorted(tally.requests.items()):
        yield Sample((("endpoint", endpoint), ("status", str(status))), count)


def _calls(tally: Tally) -> Iterator[Sample]:
    for labels, counted in _models(tally):
        yield Sample((*labels, ("outcome", "answered")), counted.answered)
        yield Sample((*labels, ("outcome", "failed")), counted.failed)


def _rows(tally: Tally) -> Iterator[Sample]:
    for labels, counted in _models(tally):
        yield Sample(labels, counted.rows)


def _spent(tally: Tally) -> Iterator[Sample]:
    for labels, counted in _models(tally):
        for phase, took_ns in zip(_PHASES, counted.spent, strict=True):
            yield Sample((*labels, ("phase", phase)), took_ns / 1e9)


def _durations(tally: Tally) -> Iterator[Sample]:
    for labels, counted in _models(tally):
        bounds = [f"{bound:g}" for bound in BOUNDS_S] + ["+Inf"]
        for bound, count in zip(bounds, counted.cumulative(), strict=True):
            yield Sample((*labels, ("le", bound)), count, "_bucket")
        yield Sample(labels, counted.answered_ns / 1e9, "_sum")
        yield Sample(labels, counted.answered, "_count")


def _models(tally: Tally) -> Iterator[tuple[Labels, ModelTally]]:
    for (name, version), counted in sorted(tally.models.items()):
        yield (("model", name), ("version", version)), counted


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
