# SPDX-License-Identifier: Apache-2.0
"""The plan of a compilation, as far as this machine can carry it out.

`plan` says what is worth building; here is added what this machine, its
environments and the rows at hand do to each target. Nothing is built.
"""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.plugins.seam import TUNING, ForAccelerators, Tuning
from insight_edge.compile.rows.samples import Samples
from insight_edge.compile.settings import Settings
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.targets.abroad import Abroad
from insight_edge.compile.targets.elsewhere import Elsewhere
from insight_edge.compile.targets.plan import Planned, needs_rows, offers, plan
from insight_edge.compile.toolchains.environments import environment_python
from insight_edge.documents.facts import Facts
from insight_edge.documents.profile import HardwareProfile
from insight_edge.errors import ConfigurationError, MissingError


def plan_here(
    source: SourceModel,
    profile: HardwareProfile,
    settings: Settings,
    rows: Samples | None,
    *,
    facts: Facts,
    away: Abroad | None,
    builder: Elsewhere | None = None,
) -> tuple[Planned, ...]:
    """Return every target that was asked for, with why it is not built or cannot run here.

    Args:
        source: the model.
        profile: what it is for.
        settings: which targets, and how long they are tuned.
        rows: to calibrate with and to prove on.
        facts: of this machine.
        away: what there is of the profile's architecture, where it is another one.
        builder: that builds what cannot be built here, where there is one.

    Raises:
        ConfigurationError: a target asked for does not exist, or none is left but such as the
            rows cannot make.
    """
    calibrated = rows is not None and bool((~rows.verification).any())
    offered = offers(backends(), source, profile, builder=builder)
    found = plan(offered, profile, calibrated=calibrated, only=settings.only)
    placed: Callable[[Planned], Planned] = _with_environment if away is None else away.settled
    planned = tuple(
        placed(_with_obstacle(_tuned(one, settings.tuning_s), profile, facts)) for one in found
    )
    return _with_finite_rows(planned, rows)


def _tuned(planned: Planned, seconds: float) -> Planned:
    """Give a target that can be tuned the time for it."""
    target = planned.target
    backend: object = backends().get(target.backend)
    if not seconds or not isinstance(backend, Tuning) or not backend.tunes(target):
        return planned
    options = target.options | {TUNING: seconds}
    return replace(planned, target=msgspec.structs.replace(target, options=options))


def _with_obstacle(planned: Planned, profile: HardwareProfile, facts: Facts) -> Planned:
    """Say why what is built of a target cannot run here, where it is for an accelerator."""
    backend: object = backends().get(planned.target.backend)
    if planned.refusal is not None or not isinstance(backend, ForAccelerators):
        return planned
    wanted = backend.accelerator(profile)
    if wanted is None or wanted.model.value in facts.accelerators:
        return planned
    return replace(planned, unexecuted=f"this machine has no {wanted.model.value}")


def _with_environment(planned: Planned) -> Planned:
    """Refuse a target whose device environment is not installed: no evidence could be taken."""
    if planned.refusal is not None or planned.unexecuted is not None:
        return planned
    try:
        environment_python(f"device-{planned.target.backend}")
    except (MissingError, ConfigurationError) as error:
        hint = f" ({error.hint})" if error.hint else ""
        return replace(planned, refusal=f"{error}{hint}", toolchain_missing=True)
    return planned


def _with_finite_rows(planned: tuple[Planned, ...], rows: Samples | None) -> tuple[Planned, ...]:
    """Refuse what rows with NaN or infinity cannot make; that is a mistake where nothing is left.

    Raises:
        ConfigurationError: nothing is left.
    """
    odd = None if rows is None else rows.non_finite()
    able = [p for p in planned if p.refusal is None]
    if rows is None or odd is None or not any(needs_rows(p.target) for p in able):
        return planned
    if all(needs_rows(p.target) for p in able):
        rows.refuse_non_finite()
    return tuple(
        replace(p, refusal=odd) if p in able and needs_rows(p.target) else p for p in planned
    )
