# SPDX-License-Identifier: Apache-2.0
"""What measurements teach of devices and models that were not measured: factors and intervals.

Intervals are conformal (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random
World, 2005): the order statistics of the errors made on measurements that the fit did not
see. Of a device that was never measured these are errors on a left-out device *and* left-out
models at once. They cover as often as they say where the device and model asked for are
drawn like those measured; of one unlike all of them nothing is promised. One device's
errors go together, so coverage comes in devices: with few of them it is coarse.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from insight_edge.selection.costs import stacked
from insight_edge.selection.factors import Factors, fit_factors, offset
from insight_edge.selection.known import (
    DATASHEET_LOG_HIGH,
    DATASHEET_LOG_LOW,
    SHIPPED,
    SHIPPED_CLASS,
)

CONFIDENCE = 0.9
FEWEST = 19
"""Errors of which the least and the largest are the ends of a 90 % interval."""

FOLDS = 5
"""Parts that models are left out in."""

STRANGE_CLASS = 2.0
"""Times the interval's logarithms, where the shipped factors are of another class."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One measured time.

    Attributes:
        device: what was measured on, by a name of the caller's.
        model: its digest.
        costs: float64[kinds] of the model on the device.
        seconds: measured.
    """

    device: str
    model: str
    costs: NDArray[np.float64]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Logarithms that measured over predicted lies between, 90 % of the time."""

    low: float
    high: float

    def widened(self, times: float) -> "Spread":
        """Return it so many times as wide, about no error."""
        return Spread(low=min(self.low, 0.0) * times, high=max(self.high, 0.0) * times)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What is known of one class of devices.

    Attributes:
        factors: of the class.
        strange: of devices that were not measured.
        basis: what that rests on, for people.
        offsets: logarithms by which devices that were measured differ from the class.
        familiar: their own spreads, where there were measurements enough.
    """

    factors: Factors
    strange: Spread
    basis: str
    offsets: dict[str, float] = field(default_factory=dict)
    familiar: dict[str, Spread] = field(default_factory=dict)

    def foretell(self, costs: NDArray[np.float64], device: str) -> tuple[float, float, float]:
        """Return the seconds that costs take on a device, and the ends of the interval."""
        log = float(np.log(self.factors.seconds(costs))) + self.offsets.get(device, 0.0)
        spread = self.familiar.get(device, self.strange)
        value, low, high = np.exp([log, log + spread.low, log + spread.high])
        return float(value), float(min(low, value)), float(max(high, value))


def datasheet(device_class: str) -> Learned:
    """Return what is known where nothing was measured."""
    spread = Spread(low=DATASHEET_LOG_LOW, high=DATASHEET_LOG_HIGH)
    if device_class == SHIPPED_CLASS:
        return Learned(factors=SHIPPED, strange=spread, basis="datasheet only")
    told = f"datasheet only, by factors of {SHIPPED_CLASS}"
    return Learned(factors=SHIPPED, strange=spread.widened(STRANGE_CLASS), basis=told)


def learn(observations: Sequence[Observation], device_class: str) -> Learned:
    """Return what measurements on devices of one class teach."""
    known = datasheet(device_class)
    if not observations:
        return known
    factors = _fitted(observations)
    errors = list(held_out_errors(observations))
    enough = len(errors) >= FEWEST
    devices = {one.device for one in observations}
    strange = spread_of(errors) if enough else known.strange
    told = f"{_many(len(observations), 'measurement')} on {_many(len(devices), 'device')}"
    return Learned(
        factors=factors,
        strange=strange,
        basis=told if enough else f"{told}; interval of the datasheet",
        offsets={name: _offset(factors, _of(observations, name)) for name in devices},
        familiar=dict(_familiar(observations, devices)),
    )


def held_out_errors(observations: Sequence[Observation]) -> Iterator[float]:
    """Yield log(measured / predicted) of each, by a fit to other models on other devices alone."""
    for device, models in _folds(observations):
        seen = [o for o in observations if o.device != device and o.model not in models]
        left = [o for o in observations if o.device == device and o.model in models]
        if seen and left:
            yield from _errors(_fitted(seen), left)


def spread_of(errors: Sequence[float], confidence: float = CONFIDENCE) -> Spread:
    """Return the order statistics between which the next error lies with a confidence."""
    ordered, tail = sorted(errors), (1 - confidence) / 2
    count = len(ordered)
    low = max(floor((count + 1) * tail + 1e-9), 1) - 1
    high = min(ceil((count + 1) * (1 - tail) - 1e-9), count) - 1
    return Spread(low=ordered[low], high=ordered[high])


def model_folds(models: Iterable[str], parts: int = FOLDS) -> tuple[frozenset[str], ...]:
    """Return models in as many parts as they are left out in, by their sorted names."""
    ordered = sorted(set(models))
    return tuple(frozenset(ordered[i::parts]) for i in range(min(parts, len(ordered))))


def _folds(observations: Sequence[Observation]) -> Iterator[tuple[str, frozenset[str]]]:
    parts = model_folds(one.model for one in observations)
    for device in sorted({one.device for one in observations}):
        for models in parts:
            yield device, models


def _familiar(
    observations: Sequence[Observation], devices: Iterable[str]
) -> Iterator[tuple[str, Spread]]:
    """Yield the spread of each device that has enough measurements, other models left out."""
    fits = [
        (models, [o for o in observations if o.model not in models])
        for models in model_folds(one.model for one in observations)
    ]
    errors: dict[str, list[float]] = {}
    for models, seen in fits if len(fits) > 1 else ():
        factors = _fitted(seen)
        for device in devices:
            own = _offset(factors, _of(seen, device))
            left = [o for o in _of(observations, device) if o.model in models]
            errors.setdefault(device, []).extend(e - own for e in _errors(factors, left))
    for device, found in errors.items():
        if len(found) >= FEWEST:
            yield device, spread_of(found)


def _many(count: int, name: str) -> str:
    return f"{count} {name}{'s' * (count > 1)}"


def _of(observations: Sequence[Observation], device: str) -> list[Observation]:
    return [one for one in observations if one.device == device]


def _fitted(observations: Sequence[Observation]) -> Factors:
    seconds = np.array([one.seconds for one in observations])
    return fit_factors(stacked([one.costs for one in observations]), seconds, SHIPPED)


def _errors(factors: Factors, observations: Sequence[Observation]) -> list[float]:
    seconds = np.array([one.seconds for one in observations])
    times = factors.seconds(stacked([one.costs for one in observations]))
    errors: list[float] = np.log(seconds / times).tolist()
    return errors


def _offset(factors: Factors, observations: Sequence[Observation]) -> float:
    return offset(_errors(factors, observations)) if observations else 0.0
