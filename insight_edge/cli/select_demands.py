# SPDX-License-Identifier: Apache-2.0
"""What `select` is asked to keep to, out of its flags."""

from math import isfinite

from insight_edge.documents.profile import FormFactor
from insight_edge.errors import ConfigurationError
from insight_edge.selection.footprint import MIB
from insight_edge.selection.option import Demand, Fleet


def demand_from_flags(
    *,
    percentile: float,
    rate: float | None,
    max_latency_ms: float | None,
    max_drop: float | None,
    max_memory_mib: float | None,
    max_power_w: float | None,
    max_price_usd: float | None,
    form_factors: tuple[FormFactor, ...],
) -> Demand:
    """Return the demands.

    Raises:
        ConfigurationError: a limit is negative or no number, or a percentile is not one.
    """
    if not 0 < percentile < 100:
        raise ConfigurationError(f"--percentile is {percentile:g}, it is more than 0 and under 100")
    memory = _limit("--max-memory-mib", max_memory_mib)
    return Demand(
        percentile=percentile,
        rate_per_s=_limit("--rate", rate),
        max_latency_ms=_limit("--max-latency-ms", max_latency_ms),
        max_drop_pp=_limit("--max-drop", max_drop, zero=True),
        max_memory_bytes=None if memory is None else memory * MIB,
        max_power_w=_limit("--max-power-w", max_power_w),
        max_price_usd=_limit("--max-price-usd", max_price_usd, zero=True),
        form_factors=form_factors,
    )


def fleet_from_flags(*, devices: int, years: float, energy_price: float | None) -> Fleet:
    """Return the fleet.

    Raises:
        ConfigurationError: fewer than one device, no time, or a price below 0.
    """
    if devices < 1:
        raise ConfigurationError(f"--devices is {devices}, at least 1 is needed")
    lasting = _limit("--years", years) or 0.0
    price = _limit("--energy-price", energy_price, zero=True)
    return Fleet(devices=devices, years=lasting, usd_per_kwh=price)


def _limit(flag: str, value: float | None, *, zero: bool = False) -> float | None:
    if value is None:
        return None
    if not isfinite(value) or value < 0 or (value == 0 and not zero):
        least = "at least 0" if zero else "more than 0"
        raise ConfigurationError(f"{flag} is {value:g}, a number of {least} is needed")
    return value
