# SPDX-License-Identifier: Apache-2.0
"""Verbs `profiles …`: which hardware is known, what this machine can stand in for, and why not.

Profiles are read by `compile.profiles.reading`, facts by `bench.machine`; this module
asks and shows.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.markup import escape

from insight_edge.bench.machine import machine_facts
from insight_edge.cli.device_engines import engines_here
from insight_edge.cli.screen import Format, emit, emit_json, err, out
from insight_edge.compile.profiles.reading import (
    find_profile,
    flaws,
    profile_from_facts,
    read_profile,
    shipped_profiles,
)
from insight_edge.compile.profiles.writing import write_profile
from insight_edge.documents.facts import EngineFacts, Facts, Missing
from insight_edge.documents.profile import HardwareProfile, exceeds, figures, mismatch
from insight_edge.errors import ConfigurationError, StorageError
from insight_edge.runtime.loading import engine_facts

app = App(name="profiles", help="List, show, detect and check hardware profiles.")


@app.default
@app.command(name="list")
def list_(*, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """List the shipped profiles and whether this machine can stand in for each.

    Backends and engines follow, each with its version or why it does not work here; CSV,
    which holds one table, has the profiles alone.

    Args:
        format: how to print.
    """
    engines = engines_here()
    facts = machine_facts(engines)
    profiles = [_profile_row(profile, facts) for profile in shipped_profiles().values()]
    plugins = _plugin_rows("backend", _toolchains()) + _plugin_rows("engine", engines)
    if format == "json":
        emit_json({"profiles": profiles, "plugins": plugins})
        return
    emit(_shown(profiles, format), format, title="Hardware profiles")
    if format != "csv":
        out.print()
        emit(_shown(plugins, format), format, title="Backends and engines on this machine")


@app.command
def show(profile: str, /, *, format: Format = "table") -> None:  # noqa: A002 - the flag is --format
    """Show the figures of a profile and where each comes from.

    Args:
        profile: its id, or a TOML file.
        format: how to print.
    """
    found = find_profile(profile)
    rows = _figure_rows(found) + _choice_rows(found)
    emit(_shown(rows, format), format, title=escape(found.name), document=found)


@app.command
def detect(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    id: str | None = None,  # noqa: A002 - the flag is --id
    devices: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write the profile of this machine as TOML.

    Its engines are those of this environment, so that a bundle for it runs here.

    Args:
        output: file to write; stdout without it.
        id: of the profile; the name of the file, or `this-machine`, without it.
        devices: also the engines that have an environment `device-…` of their own
            (`insight-edge toolchain list`); a bundle for one of these runs there.
    """
    name = id or (output.stem if output else "this-machine")
    facts = machine_facts(engines_here() if devices else engine_facts())
    profile = profile_from_facts(facts, name, on=datetime.now(UTC).date())
    for flaw in flaws(profile):
        raise ConfigurationError(flaw, hint="choose one with --id")
    text = write_profile(profile)
    if output is None:
        out.out(text, end="", highlight=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror}") from error
    err.print(f"wrote {escape(str(output))}", soft_wrap=True)


@app.command
def check(file: Path, /) -> None:
    """Check a profile's TOML: its keys, its values and the source of every figure.

    Args:
        file: what to check.
    """
    profile = read_profile(file)
    counts = f"{len(figures(profile))} figures from {len(profile.sources)} sources"
    err.print(f"{escape(str(file))}: '{profile.id}' is sound, {counts}", soft_wrap=True)


def _profile_row(profile: HardwareProfile, facts: Facts) -> dict[str, Any]:
    reason = mismatch(profile, facts)
    stand_in = "yes, as a bound" if exceeds(profile, facts) else "yes"
    return {
        "id": profile.id,
        "name": profile.name,
        "arch": profile.cpu.arch,
        "cores": profile.cpu.cores.value,
        "form_factor": profile.form_factor.value if profile.form_factor else None,
        "memory_gib": round(profile.dram.length_bytes.value / 2**30, 1),
        "this_machine": stand_in if reason is None else f"no: {reason}",
    }


def _toolchains() -> dict[str, dict[str, str] | Missing]:
    """Return the versions that each backend builds with, or what it misses on this machine."""
    try:
        from insight_edge.compile.plugins.discovery import backends
    except ImportError as error:  # a device has no workshop, and this verb works there
        return {
            point.name: Missing(name=point.name, reason=str(error))
            for point in entry_points(group="insight_edge.backends")
        }
    return {
        name: found if isinstance(found, Missing) else found.versions
        for name, found in (
            (name, backend if isinstance(backend, Missing) else backend.toolchain())
            for name, backend in backends().items()
        )
    }


def _plugin_rows(
    kind: str, found: Mapping[str, EngineFacts | dict[str, str] | Missing]
) -> list[dict[str, Any]]:
    return [{"kind": kind, "name": name} | _state(plugin) for name, plugin in sorted(found.items())]


def _state(plugin: EngineFacts | dict[str, str] | Missing) -> dict[str, str]:
    if isinstance(plugin, Missing):
        return {"works": "no", "detail": plugin.reason}
    versions = {plugin.name: plugin.version} if isinstance(plugin, EngineFacts) else plugin
    detail = ", ".join(f"{package} {version}" for package, version in versions.items())
    return {"works": "yes", "detail": detail}


def _figure_rows(profile: HardwareProfile) -> list[dict[str, Any]]:
    return [
        {
            "figure": name,
            "value": ", ".join(map(str, figure.value))
            if isinstance(figure.value, tuple)
            else figure.value,
            "source": profile.sources[figure.source].address,
        }
        for name, figure in figures(profile).items()
    ]


def _choice_rows(profile: HardwareProfile) -> list[dict[str, Any]]:
    """Return what the profile's author chose: engines worth trying, and limits."""
    chosen: dict[str, Any] = {"threads": profile.threads}
    for token, support in profile.engines.items():
        chosen[f"engines.{token}"] = " ".join([", ".join(support.precisions), support.versions])
    limits = profile.limits
    chosen |= {
        "limits.latency_p50_ms": limits.latency_p50_ms,
        "limits.memory_bytes": limits.memory_bytes,
        "limits.artifact_bytes": limits.artifact_bytes,
        "limits.max_drop_pp": limits.max_drop_pp,
    }
    return [
        {"figure": name, "value": value, "source": "chosen"}
        for name, value in chosen.items()
        if value is not None
    ]


def _shown(rows: list[dict[str, Any]], output: Format) -> list[dict[str, Any]]:
    """Return rows whose text a table prints as it is: reasons may hold square brackets."""
    if output != "table":
        return rows
    return [{k: escape(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
