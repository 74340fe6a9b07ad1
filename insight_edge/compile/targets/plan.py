# SPDX-License-Identifier: Apache-2.0
"""Which targets are worth building for a profile, and why the others are not.

`plan` is pure: it judges what backends offer by the profile and by the rows at
hand. `offers` asks the backends, which load no toolchain for it. Whether a
target is good is decided later, by proof and measurement.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TypeAlias

from insight_edge.compile.plugins.seam import Backend, Sparing
from insight_edge.compile.refusals.refusal import OnDeviceOnly, Refusal
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.targets.elsewhere import Elsewhere, lacking, refused_there
from insight_edge.compile.toolchains.toolchain import Toolchain
from insight_edge.documents.facts import Missing
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target
from insight_edge.errors import ConfigurationError

Asked: TypeAlias = Toolchain | Missing | str
"""A toolchain; text where asking for it failed."""

ROWLESS = frozenset({"dynamic", "weights"})
"""Options of INT8 with which scales of activations are not taken from rows."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One target, and why it is not built.

    Attributes:
        refusal: None where it is to be built.
        toolchain_missing: the refusal is that something is not installed here.
        held: why it is built only where it is asked for by name; None where it is built anyway.
        unexecuted: why what is built of it cannot run on this machine; None where it can.
        hint: what to change in the model, where the backend that refuses it knows.
        elsewhere: it is built by the builder, not here.
    """

    target: Target
    refusal: str | None = None
    toolchain_missing: bool = False
    held: str | None = None
    unexecuted: str | None = None
    hint: str | None = None
    elsewhere: bool = False


def offers(
    backends: Mapping[str, Backend | Missing],
    source: SourceModel,
    profile: HardwareProfile,
    toolchains: Mapping[str, Asked] | None = None,
    builder: Elsewhere | None = None,
) -> tuple[Planned, ...]:
    """Return every target of every backend with the backend's own refusal.

    A backend that cannot be loaded has no targets to show; `discovery.backends` says why.

    Args:
        backends: by token.
        source: the model.
        profile: what it is for.
        toolchains: what `ask_toolchains` returned, where it was asked already.
        builder: that builds what cannot be built here, where there is one.
    """
    asked = ask_toolchains(backends) if toolchains is None else toolchains
    return tuple(
        _offer(backend, asked[token], source, target, profile, builder)
        for token, backend in backends.items()
        if not isinstance(backend, Missing)
        for target in backend.targets()
    )


def ask_toolchains(backends: Mapping[str, Backend | Missing]) -> dict[str, Asked]:
    """Return the toolchain of every backend, or why there is none; it is the same for all plans."""
    return {
        token: _toolchain(backend)
        for token, backend in backends.items()
        if not isinstance(backend, Missing)
    }


def plan(
    offered: Iterable[Planned],
    profile: HardwareProfile,
    *,
    calibrated: bool,
    only: Sequence[Target] = (),
) -> tuple[Planned, ...]:
    """Return the offers in order of backend and falling precision, each with its refusal if any.

    Args:
        offered: what `offers` returned.
        profile: what it is for.
        calibrated: whether there are rows to calibrate with.
        only: the targets asked for; none means all.

    Raises:
        ConfigurationError: a target asked for is none that anyone offers.
    """
    found = {planned.target.token: planned for planned in offered}
    _refuse_unoffered(only, found)
    named = {target.token for target in only}
    ordered = sorted(found.values(), key=lambda p: (p.target.backend, p.target.rank))
    return tuple(
        _judged(planned, profile, calibrated=calibrated, named=bool(named))
        for planned in ordered
        if not named or planned.target.token in named
    )


def needs_rows(target: Target) -> bool:
    """Return whether scales of activations are taken from rows."""
    return target.precision == "int8" and not ROWLESS & target.options.keys()


def _toolchain(backend: Backend) -> Asked:
    try:
        return backend.toolchain()
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; it becomes data)
        return _failed(error)


def _offer(
    backend: Backend,
    toolchain: Asked,
    source: SourceModel,
    target: Target,
    profile: HardwareProfile,
    builder: Elsewhere | None,
) -> Planned:
    if isinstance(toolchain, str):
        return Planned(target=target, refusal=toolchain)
    lack = lacking(toolchain, target.backend, builder)
    if lack is not None:
        return Planned(target=target, refusal=lack, toolchain_missing=True)
    elsewhere = isinstance(toolchain, Missing)
    try:
        held = None
        if isinstance(backend, Sparing):
            held = backend.only_if_asked(source, target, profile)
        refusal = backend.refuse(source, target, profile)
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; it becomes data)
        return Planned(target=target, refusal=_failed(error))
    if isinstance(refusal, OnDeviceOnly) and builder is not None:
        refusal, elsewhere = refused_there(refusal, target.backend, builder), True
    hint = refusal.hint if isinstance(refusal, Refusal) else None
    return Planned(
        target=target,
        refusal=refusal and str(refusal),
        held=held,
        hint=hint,
        elsewhere=elsewhere and refusal is None,
    )


def _failed(error: Exception) -> str:
    return f"the backend failed: {type(error).__name__}: {error}"


def _refuse_unoffered(only: Sequence[Target], found: Mapping[str, Planned]) -> None:
    for target in only:
        if target.token not in found:
            near = get_close_matches(target.token, found, n=1)
            raise ConfigurationError(
                f"no backend offers '{target.token}'",
                hint=f"did you mean '{near[0]}'?" if near else f"offered: {', '.join(found)}",
            )


def _judged(
    planned: Planned, profile: HardwareProfile, *, calibrated: bool, named: bool
) -> Planned:
    """Return the offer with the first refusal: the profile's, the rows', the backend's."""
    refusal = _profile_refusal(planned.target, profile)
    if refusal is None and needs_rows(planned.target) and not calibrated:
        refusal = "INT8 needs rows to calibrate with (--calibration x.npz)"
    if refusal is None and planned.refusal is None and planned.held is not None and not named:
        refusal = f"{planned.held} (try it with --target {planned.target.token})"
    if refusal is None:
        return planned
    return replace(planned, refusal=refusal, toolchain_missing=False, hint=None)


def _profile_refusal(target: Target, profile: HardwareProfile) -> str | None:
    support = profile.engines.get(target.backend)
    if support is None:
        return f"{profile.id} does not run {target.backend}"
    if target.precision not in support.precisions:
        worth = ", ".join(support.precisions)
        return f"{profile.id} gains nothing from {target.precision} on {target.backend} ({worth})"
    return None
