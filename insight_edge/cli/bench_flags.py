# SPDX-License-Identifier: Apache-2.0
"""Flags of `bench` as a person writes them, and what is wrong with them in one line."""

import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from insight_edge.bench.compared import MEDIAN
from insight_edge.bench.exchange import Preparation
from insight_edge.bench.scenarios.scenario import (
    MULTI_STREAM_ROWS,
    OFFLINE_ROWS,
    SENSOR_WAITING,
    SERVER_WAITING,
    Name,
    Scenario,
)
from insight_edge.bench.timing import USUAL_S
from insight_edge.bench.verdict import MIN_ITERATIONS
from insight_edge.bench.warming import CAP_S
from insight_edge.errors import ConfigurationError

MAX_S = 86_400.0
"""A day: longer is a mistake of units."""

MAX_QUERIES = 10_000_000
"""Of a schedule: half a gigabyte of times."""

MAX_ROWS = 65_536

MAX_LAUNCHES = 1000
"""All pairs of them are looked at."""

_ROWS = {"multi-stream": MULTI_STREAM_ROWS, "offline": OFFLINE_ROWS}
_FLAGS = {
    "--streams": ("multi-stream", "offline"),
    "--rate": ("server",),
    "--period": ("sensor",),
    "--deadline": ("server", "sensor"),
}
"""Of which scenarios a flag is."""


def scenario_from_flags(
    name: Name,
    *,
    streams: int | None,
    rate: float | None,
    period_ms: float | None,
    deadline_ms: float | None,
) -> Scenario:
    """Return the scenario that flags name.

    Raises:
        ConfigurationError: a flag is missing, is of another scenario, or is no positive number.
    """
    given = {
        "--streams": streams, "--rate": rate, "--period": period_ms, "--deadline": deadline_ms
    }  # fmt: skip
    for flag, value in given.items():
        _refuse_flag(name, flag, value)
    if name == "server":
        rate_per_s, waiting = rate, SERVER_WAITING
    elif period_ms is not None:
        rate_per_s, waiting = 1e3 / period_ms, SENSOR_WAITING
        deadline_ms = deadline_ms or period_ms
    else:
        rate_per_s, waiting = None, 0
    return Scenario(
        name=name,
        rows=streams or _ROWS.get(name, 1),
        rate_per_s=rate_per_s,
        deadline_s=None if deadline_ms is None else deadline_ms / 1e3,
        waiting=waiting,
    )


def duration_from(
    seconds: float | None, scenario: Scenario, iterations: int | None
) -> float | None:
    """Return a duration that can be meant.

    Raises:
        ConfigurationError: it is not, or so many queries at this rate take more than a day or
            more memory than there is.
    """
    seconds_from("--duration", seconds)
    if scenario.rate_per_s is None:
        return seconds
    usual_s = USUAL_S if iterations is None else 0.0
    asked = MIN_ITERATIONS if iterations is None and seconds is None else iterations or 0
    lasting_s = max(seconds or usual_s, asked / scenario.rate_per_s)
    if lasting_s > MAX_S:
        raise ConfigurationError(
            f"{asked} queries at {scenario.rate_per_s:.3g} a second take more than a day",
            hint="--duration says how long they are asked",
        )
    if lasting_s * scenario.rate_per_s > MAX_QUERIES:
        raise ConfigurationError(
            f"{lasting_s * scenario.rate_per_s:.3g} queries would be due, at most {MAX_QUERIES} "
            "are asked",
            hint="a shorter --duration, or a lower rate",
        )
    return seconds


def threads_from(threads: int | None, cpus: Collection[int], usable: int) -> int | None:
    """Return how many threads are asked for; one a processor where some are named."""
    return min(len(cpus), usable) if threads is None and cpus else threads


def sustained_from(seconds: float | None, scenario: Scenario) -> float | None:
    """Return how long a run is sustained.

    Raises:
        ConfigurationError: it is no such time, or rows are asked at a rate, which it is not.
    """
    if seconds is None:
        return None
    if scenario.rate_per_s is not None:
        raise ConfigurationError(
            f"--sustained is not of --scenario {scenario.name}",
            hint="a longer --duration shows how it does at a rate",
        )
    return seconds_from("--sustained", seconds)


def seconds_from(flag: str, seconds: float | None) -> float | None:
    """Return the seconds that a flag says.

    Raises:
        ConfigurationError: they are no such time.
    """
    if seconds is not None and not 0 < seconds <= MAX_S:
        raise ConfigurationError(
            f"{flag} is {seconds:g}, more than 0 and at most {MAX_S:g} seconds are needed"
        )
    return seconds


def cpus_from(text: str | None, usable: Collection[int]) -> tuple[int, ...]:
    """Return the processors that a flag names, `0,2-3`; none for None.

    Raises:
        ConfigurationError: it names none, or one that this process may not use.
    """
    if text is None:
        return ()
    cpus: set[int] = set()
    for word in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", word)
        if found is None:
            raise ConfigurationError(f"--cpus is '{text}', processors are needed, such as 0,2-3")
        cpus.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    refused = sorted(cpus - set(usable))
    if refused or not cpus:
        told = ",".join(map(str, sorted(usable)))
        raise ConfigurationError(
            f"--cpus is '{text}', this process may use {told}",
            hint="processors are numbered from 0, as in /proc/cpuinfo",
        )
    return tuple(sorted(cpus))


def percents_from(text: str | None) -> tuple[float, ...]:
    """Return the percentiles that a flag names, `90,99,99.9`, in rising order; none for None.

    Raises:
        ConfigurationError: one is no number between 0 and 100.
    """
    if text is None:
        return ()
    return tuple(sorted({_percent(word) for word in text.split(",")}))


def bundles_from(bundles: Sequence[Path] | None) -> Sequence[Path]:
    """Return the bundles that are named.

    Raises:
        ConfigurationError: none is.
    """
    if not bundles:
        raise ConfigurationError("there is no bundle to measure", hint="name its directory")
    return bundles


def compared_percent_from(percent: float) -> tuple[float, ...]:
    """Return the percentile to compare; none for the median, which needs no more queries.

    Raises:
        ConfigurationError: it is not between 0 and 100.
    """
    checked = _percent(f"{percent:.10g}")
    return () if checked == MEDIAN else (checked,)


def launches_from(launches: int) -> int:
    """Return how often all are started.

    Raises:
        ConfigurationError: more often than a comparison is made for.
    """
    if launches > MAX_LAUNCHES:
        raise ConfigurationError(f"--launches is {launches}, at most {MAX_LAUNCHES} are compared")
    return launches


def same_from(percent: float) -> float:
    """Return the share by which two may differ and be called the same.

    Raises:
        ConfigurationError: it is no percentage between 0 and 100.
    """
    if not 0 < percent < 100:
        raise ConfigurationError(
            f"--same is {percent:g}, a percentage between 0 and 100 is needed",
            hint="differences that are smaller do not matter: --same 5",
        )
    return percent / 100


def samples_from(samples: int) -> int:
    """Return how many latencies are kept.

    Raises:
        ConfigurationError: fewer than none.
    """
    if samples < 0:
        raise ConfigurationError(f"--samples is {samples}, no fewer than 0 can be kept")
    return samples


def preparation_from(warm_up: str | None, scenario: Scenario) -> Preparation:
    """Return how a subject is prepared: warmed up by `auto`, for so many seconds, or briefly.

    Raises:
        ConfigurationError: it is neither.
    """
    if warm_up is None:
        return Preparation(rows=scenario.rows)
    if warm_up == "auto":
        return Preparation(rows=scenario.rows, warm_up_s=CAP_S)
    try:
        seconds = float(warm_up)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_S:
        raise ConfigurationError(
            f"--warmup is '{warm_up}', seconds are needed, or auto",
            hint=f"auto goes on until durations keep their level, for {CAP_S:g} s at most",
        )
    return Preparation(rows=scenario.rows, warm_up_s=seconds, whole=True)


def _refuse_flag(name: Name, flag: str, value: float | None) -> None:
    if value is None:
        if flag in {"--rate", "--period"} and name in _FLAGS[flag]:
            example = "--rate 100 (queries a second)" if flag == "--rate" else "--period 33.3 (ms)"
            raise ConfigurationError(f"--scenario {name} needs {flag}", hint=f"such as {example}")
        return
    if name not in _FLAGS[flag]:
        raise ConfigurationError(
            f"{flag} is not of --scenario {name}", hint=f"it is of {' and '.join(_FLAGS[flag])}"
        )
    if not 0 < value < math.inf:
        raise ConfigurationError(f"{flag} is {value:g}, more than 0 is needed")
    if flag == "--streams" and value > MAX_ROWS:
        raise ConfigurationError(f"{flag} is {value:g}, at most {MAX_ROWS} rows are asked at once")


def _percent(word: str) -> float:
    try:
        percent = float(word)
    except ValueError:
        percent = -1.0
    if not 0 < percent < 100:
        raise ConfigurationError(
            f"--percentile has '{word.strip()}', a number between 0 and 100 is needed",
            hint="for example --percentile 90,99,99.9",
        )
    return percent
