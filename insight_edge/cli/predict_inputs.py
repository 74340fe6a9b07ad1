# SPDX-License-Identifier: Apache-2.0
"""What `predict` and `select` are asked about: models on devices, and what was measured of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from insight_edge.bench.results import read_foreign, read_results
from insight_edge.bundle.open import open_manifest
from insight_edge.cli.screen import err
from insight_edge.compile.plugins.discovery import backends
from insight_edge.compile.profiles.reading import find_profile, shipped_profiles
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import SourceModel
from insight_edge.compile.targets.plan import ask_toolchains
from insight_edge.compile.targets.preflight import Forecast, preflight
from insight_edge.documents.profile import HardwareProfile
from insight_edge.documents.target import Target, target_from_token
from insight_edge.documents.workload import Workload
from insight_edge.selection.evidence import (
    Measured,
    Place,
    counted,
    learn_from,
    measured_from_evidence,
    measured_from_result,
    measured_latency,
)
from insight_edge.selection.latency import Class, Latency, predict_latency
from insight_edge.selection.learning import Learned
from insight_edge.selection.option import Option


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What was measured, and what that teaches."""

    measured: Mapping[Place, Measured]
    learned: Mapping[Class, Learned]


def options_from_flags(
    models: Sequence[Path],
    profiles: Sequence[str],
    targets: Sequence[str],
    results: Sequence[Path],
    *,
    trust_pickle: bool,
) -> tuple[Option, ...]:
    """Return every model on every device by the targets of which something is known.

    A device without such a target has one all the same, with the reason.

    Args:
        models: files that an importer reads.
        profiles: ids or TOML files; all that are shipped for none.
        targets: only these; all for none.
        results: files of `bench -o`, or bundles, whose evidence is taken.
        trust_pickle: let code in model files run.

    Raises:
        InputError: one of them cannot be read.
    """
    only = [target_from_token(token) for token in targets]
    devices = [find_profile(name) for name in profiles] or list(shipped_profiles().values())
    files = [_read(path) for path in results]
    sources = [read_source(path, trust_pickle=trust_pickle) for path in models]
    workloads = {s.workload.model_digest: s.workload for s in sources}
    for _, found in files:
        workloads |= {w.model_digest: w for w in found}
    known = _known([m for measured, _ in files for m in measured], workloads, devices)
    return tuple(o for source in sources for o in _options(source, devices, only, known))


def _read(path: Path) -> tuple[tuple[Measured, ...], tuple[Workload, ...]]:
    """Return what was measured in a file of results or a bundle, and the models that it knows."""
    if not path.is_dir():
        for tool, count in Counter(one.reported_by for one in read_foreign(path)).items():
            told = f"{path}: {count} reported by {tool}: nobody verified it"
            err.print(f"[dim]left out:[/] {escape(told)}", soft_wrap=True)
        return tuple(measured_from_result(one) for one in read_results(path)), ()
    evidence = open_manifest(path, allow_unsigned=True).evidence()
    known = () if evidence.workload is None else (evidence.workload,)
    return measured_from_evidence(evidence), known


def _known(
    measured: Sequence[Measured],
    workloads: Mapping[str, Workload],
    devices: Sequence[HardwareProfile],
) -> _Known:
    kept, left_out = counted(measured)
    for reason in left_out:
        err.print(f"[dim]left out:[/] {escape(reason)}", soft_wrap=True)
    profiles = shipped_profiles() | {device.id: device for device in devices}
    strange = {one.profile for one in kept.values()} - profiles.keys()
    if strange:
        told = f"measured on {', '.join(sorted(strange))}, of which no profile was given"
        err.print(f"[dim]teaches nothing:[/] {escape(told)}", soft_wrap=True)
    return _Known(measured=kept, learned=learn_from(kept.values(), workloads, profiles))


def _options(
    source: SourceModel, devices: Sequence[HardwareProfile], only: Sequence[Target], known: _Known
) -> Iterator[Option]:
    found = backends()
    toolchains = ask_toolchains(found)
    for profile in devices:
        done = preflight(found, source, profile, only=only, toolchains=toolchains)
        options = [
            _option(source, profile, one, known) for one in done.forecasts if _runs(one, profile)
        ]
        told = [one for one in options if one.latency is not None or only]
        yield from told or options[:1]


def _runs(forecast: Forecast, profile: HardwareProfile) -> bool:
    """Return whether the device has the engine in that precision."""
    target = forecast.planned.target
    support = profile.engines.get(target.backend)
    return support is not None and target.precision in support.precisions


def _option(
    source: SourceModel, profile: HardwareProfile, forecast: Forecast, known: _Known
) -> Option:
    workload, target, fit = source.workload, forecast.planned.target, forecast.fit
    own = known.measured.get((workload.model_digest, profile.id, target.token))
    latency: Latency | str = forecast.planned.refusal or "it cannot be built"
    if own is not None:
        latency = measured_latency(own)
    elif fit is not None:
        latency = predict_latency(workload, profile, target, known.learned, fit.bound)
    plain = target.precision == "fp32"
    return Option(
        model=source.name,
        profile=profile,
        target=target,
        latency=None if isinstance(latency, str) else latency,
        why=latency if isinstance(latency, str) else "",
        memory_bytes=None if fit is None else fit.need.memory_bytes,
        fits="unknown" if fit is None else fit.verdict,
        drop_pp=0.0 if plain else own.drop_pp if own is not None else None,
        rounds_ms=() if own is None else own.rounds_ms,
        flops=workload.flops,
        moved_bytes=sum(one.read_bytes + one.written_bytes for one in workload.operations),
    )
