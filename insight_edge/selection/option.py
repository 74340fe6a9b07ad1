# SPDX-License-Identifier: Apache-2.0
"""A model on a device, what is known of it, and what is demanded."""

from dataclasses import dataclass
from typing import Literal

from insight_edge.documents.profile import FormFactor, HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.selection.latency import Latency

Fits = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """One target of a model on one device.

    Attributes:
        model: what people call it.
        profile: of the device.
        latency: of one inference; None where nothing is known, with the reason in `why`.
        memory_bytes: that its process takes, at most; None where that is not known.
        fits: whether that is there; by the profile's own limits, too.
        drop_pp: percentage points of the task metric, at most; 0 for FP32, None where not proven.
        rounds_ms: latencies by round, where it was measured and they were kept.
        flops: of one inference.
    """

    model: str
    profile: HardwareProfile
    target: Target
    latency: Latency | None
    why: str = ""
    memory_bytes: int | None = None
    fits: Fits = "unknown"
    drop_pp: float | None = None
    rounds_ms: tuple[tuple[float, ...], ...] = ()
    flops: int = 0
    moved_bytes: int = 0

    @property
    def name(self) -> str:
        """What people call it: device and target."""
        return f"{self.profile.id} {self.target.token}"

    @property
    def price_usd(self) -> float | None:
        """Of one device; None where the profile does not say."""
        price = self.profile.price_usd
        return None if price is None else price.value

    @property
    def power_w(self) -> float | None:
        """The most that one device draws; None where the profile does not say."""
        return max((mode.power_w.value for mode in self.profile.power_modes), default=None)

    @property
    def form_factor(self) -> FormFactor | None:
        """How the device comes; None where the profile does not say."""
        form = self.profile.form_factor
        return None if form is None else form.value


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a device must keep to; None where nothing is asked.

    Attributes:
        percentile: of the latency, 0 to 100.
        rate_per_s: at which rows come, at random; None for one after the other.
        max_latency_ms: of that percentile, waiting included.
        form_factors: of which the device has to have one; any for none.
    """

    percentile: float = 50.0
    rate_per_s: float | None = None
    max_latency_ms: float | None = None
    max_drop_pp: float | None = None
    max_memory_bytes: float | None = None
    max_power_w: float | None = None
    max_price_usd: float | None = None
    form_factors: tuple[FormFactor, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """How many devices are bought, for how long, and what energy costs."""

    devices: int = 1
    years: float = 3.0
    usd_per_kwh: float | None = None


HOURS_A_YEAR = 8766.0


def cost_usd(option: Option, fleet: Fleet) -> float | None:
    """Return what the fleet costs: devices, and energy at the most that they draw.

    None where the price is not known, or the power while energy has a price.
    """
    price, power = option.price_usd, option.power_w
    if price is None or (fleet.usd_per_kwh is not None and power is None):
        return None
    energy = (power or 0.0) / 1e3 * HOURS_A_YEAR * fleet.years * (fleet.usd_per_kwh or 0.0)
    return fleet.devices * (price + energy)
