# SPDX-License-Identifier: Apache-2.0
"""What can be said of every target of a profile before anything is built.

Which targets are planned, and why the others are not, is said by the very code
that `compile` plans with. Here is added what each takes and whether that fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from insight_edge.compile.plugins.seam import Backend, ForAccelerators, Weighed
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.targets.plan import ROWLESS, Asked, Planned, offers, plan
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import Accelerator, Figure, HardwareProfile
from insight_edge.documents.target import PRECISIONS, Precision, Target
from insight_edge.selection.fit import Fit, fit
from insight_edge.selection.footprint import LEAST_SHARE, Footprint, need
from insight_edge.selection.roofline import Bound, Roof, bound


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is known of one target.

    Attributes:
        fit: None where it cannot be built.
    """

    planned: Planned
    fit: Fit | None = None

    @property
    def passes(self) -> bool:
        """Whether it can be built, and nothing says that it does not fit."""
        return self.fit is not None and self.fit.verdict != "no"


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What is known of one profile."""

    profile: HardwareProfile
    forecasts: tuple[Forecast, ...]

    @property
    def passing(self) -> tuple[Forecast, ...]:
        """The targets that may go into a bundle."""
        return tuple(forecast for forecast in self.forecasts if forecast.passes)

    @property
    def lacks_toolchain(self) -> bool:
        """Whether no target passes, and one might with something that is not installed."""
        missing = any(forecast.planned.toolchain_missing for forecast in self.forecasts)
        return missing and not self.passing


def preflight(
    backends: Mapping[str, Backend | Missing],
    source: SourceModel,
    profile: HardwareProfile,
    *,
    only: Sequence[Target] = (),
    toolchains: Mapping[str, Asked] | None = None,
) -> Preflight:
    """Return what is known of a model for a profile, as if there were rows to calibrate with.

    Args:
        backends: by token.
        source: the model.
        profile: what it is for.
        only: the targets asked for; none means all.
        toolchains: what `ask_toolchains` returned, where many profiles are looked at.

    Raises:
        ConfigurationError: a target asked for is none that anyone offers.
    """
    planned = plan(
        offers(backends, source, profile, toolchains), profile, calibrated=True, only=only
    )
    forecasts = (
        Forecast(planned=p, fit=_fit(backends[p.target.backend], source, p.target, profile))
        if p.refusal is None
        else Forecast(planned=p)
        for p in planned
    )
    return Preflight(profile=profile, forecasts=tuple(forecasts))


def _fit(backend: object, source: SourceModel, target: Target, profile: HardwareProfile) -> Fit:
    workload = source.workload
    accelerator = backend.accelerator(profile) if isinstance(backend, ForAccelerators) else None
    footprint: Footprint | None = None
    if isinstance(backend, Weighed):
        footprint = backend.footprint(target)
    graph_bytes = max(0, len(source.data) - workload.parameter_bytes)
    taken = need(workload, target, footprint, graph_bytes=graph_bytes)
    return fit(
        workload, target, taken, _bound(source, target, profile, accelerator), profile, accelerator
    )


def _bound(
    source: SourceModel,
    target: Target,
    profile: HardwareProfile,
    accelerator: Accelerator | None,
) -> Bound | None:
    # Other options may move the work to hardware that is not known here.
    if target.options.keys() - ROWLESS:
        return None
    roof = roof_of(profile, target.precision, accelerator)
    share = LEAST_SHARE[target.precision]
    return bound(source.workload.operations, roof, item_share=share)


def roof_of(
    profile: HardwareProfile, precision: Precision, accelerator: Accelerator | None
) -> Roof:
    """Return what the profile's accelerator, or its processor, does at most in a precision."""
    if accelerator is not None:
        return Roof(
            ops_per_s=_peak(accelerator.peak_ops_per_s, precision),
            bandwidth_bytes_per_s=_value(accelerator.bandwidth_bytes_per_s),
        )
    cache = profile.cpu.caches.l3_bytes
    return Roof(
        ops_per_s=_peak(profile.peak_ops_per_s, precision),
        bandwidth_bytes_per_s=_value(profile.dram.bandwidth_bytes_per_s),
        cache_bytes=None if cache is None else cache.value,
    )


def _peak(peaks: Mapping[Precision, Figure[float]], precision: Precision) -> float | None:
    """Return the most of a precision and of the higher ones, in which some operators may stay."""
    if precision not in peaks:
        return None
    higher = PRECISIONS[: PRECISIONS.index(precision) + 1]
    return max(figure.value for name, figure in peaks.items() if name in higher)


def _value(figure: Figure[float] | None) -> float | None:
    return None if figure is None else figure.value
