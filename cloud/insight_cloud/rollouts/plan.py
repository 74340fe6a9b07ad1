# SPDX-License-Identifier: Apache-2.0
"""What an operator asks of a rollout: the waves and the bounds of their gates. Pure.

Every bound has a default; the reason for each is in docs/guides/roll-out.md.
"""

import math
import re
from dataclasses import dataclass, fields
from fractions import Fraction

from insight_edge.errors import ConfigurationError

MAX_WAVES = 50
MAX_S = 90 * 86_400.0
MAX_COUNT = 10**9

_SIZE = re.compile(r"([0-9]{1,9})|([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_SHARES = (
    "needed_share",
    "max_failed_share",
    "error_margin",
    "flagged_margin",
    "accuracy_margin",
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The waves of a rollout, and what each has to show before the next begins.

    Attributes:
        canary: size of the first wave, `3` devices or `5%` of them.
        waves: how many devices have it after each further wave; the last is `100%`.
        needed_share: of a wave's devices of one profile, that must have committed it.
        max_failed_share: of these, that may refuse it or give it up.
        soak_s: how long a device serves after its commit before it counts.
        deadline_s: after it a wave that has not shown enough is paused.
        least_calls: of a wave's devices of one profile, before the next wave.
        error_margin: by which the share of failed calls may be above that of the old bundle.
        p99_factor, p99_slack_ms: p99 may be this many times the old bundle's, and so much more.
        flagged_margin: by which the share of flagged rows may be above that of the old bundle.
        accuracy_margin: by which the share of right results may be below that of the old bundle.
        least_outcomes: known results of either bundle before accuracies are compared.
        baseline_s: how far back the old bundle is looked at.
    """

    canary: str = "1"
    waves: tuple[str, ...] = ("25%", "100%")
    needed_share: float = 0.5
    max_failed_share: float = 0.1
    soak_s: float = 600.0
    deadline_s: float = 86_400.0
    least_calls: int = 100
    error_margin: float = 0.01
    p99_factor: float = 2.0
    p99_slack_ms: float = 1.0
    flagged_margin: float = 0.05
    accuracy_margin: float = 0.02
    least_outcomes: int = 50
    baseline_s: float = 86_400.0


def check_plan(plan: Plan) -> None:
    """Refuse a plan that cannot be meant.

    Raises:
        ConfigurationError: a size or bound is none, or the last wave is not of all devices.
    """
    if not 1 <= len(plan.waves) <= MAX_WAVES:
        raise ConfigurationError(f"a rollout has 1 to {MAX_WAVES} waves after the canary")
    for text in (plan.canary, *plan.waves):
        _parsed(text)
    if _parsed(plan.waves[-1]) != Fraction(1):
        raise ConfigurationError(
            f"the last wave is {plan.waves[-1]}, which leaves devices out",
            hint="end with --wave 100%; choose devices with --profile, --text or --device",
        )
    for name in _SHARES:
        _within(plan, name, 0.0, 1.0)
    for name in ("soak_s", "deadline_s", "baseline_s"):
        _within(plan, name, 0.0, MAX_S)
    for name in ("least_calls", "least_outcomes"):
        _within(plan, name, 0, MAX_COUNT)
    _within(plan, "p99_factor", 1.0, 1000.0)
    _within(plan, "p99_slack_ms", 0.0, 3_600_000.0)
    if plan.soak_s >= plan.deadline_s:
        raise ConfigurationError("a wave's deadline would pass before its devices have soaked")


def size_of(text: str, total: int) -> int:
    """Return how many of `total` devices a size means: at least one, at most all.

    Raises:
        ConfigurationError: it is no size.
    """
    size = _parsed(text)
    wanted = math.ceil(size * total) if isinstance(size, Fraction) else size
    return min(max(wanted, 1), total)


def _parsed(text: str) -> int | Fraction:
    """Return a count, or a share of 1."""
    found = _SIZE.fullmatch(text)
    count, percent = found.groups() if found else (None, None)
    if count is not None and int(count) > 0:
        return int(count)
    if percent is not None and 0 < Fraction(percent) <= 100:
        return Fraction(percent) / 100
    raise ConfigurationError(
        f"'{text[:40]}' is no size of a wave", hint="a count such as 3, or a share such as 25%"
    )


def _within(plan: Plan, name: str, least: float, most: float) -> None:
    value = getattr(plan, name)
    if not (math.isfinite(value) and least <= value <= most):
        raise ConfigurationError(f"{name} is {value}, not within {least:g} and {most:g}")


NAMES = tuple(field.name for field in fields(Plan))
