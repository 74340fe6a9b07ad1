# SPDX-License-Identifier: Apache-2.0
"""Find, read and check the TOML files of hardware profiles.

Shipped ones are found by id, anybody's own by path. A profile that says where
not all of its figures come from is refused wherever it lies. Nothing is
measured here, and whether a machine can stand in for a profile is decided by
`documents.profile.mismatch`.
"""

import re
from collections.abc import Iterator
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from insight_edge.compile.toolchains.shipped import shipped_folder
from insight_edge.documents.codec import decode_toml
from insight_edge.documents.facts import EngineFacts, Facts
from insight_edge.documents.profile import (
    Accelerator,
    Cpu,
    Dram,
    EngineSupport,
    Figure,
    HardwareProfile,
    Source,
    figures,
    unsourced,
)
from insight_edge.documents.target import PRECISIONS
from insight_edge.errors import ConfigurationError, DocumentError, LimitExceededError

MAX_PROFILE_BYTES = 256 * 1024
"""No profile is read beyond this; the longest shipped one has 3 KB."""

DETECTED = "detected"
"""Key and address of the source of figures that were read off the machine itself."""

SELECTED_ISA = frozenset({
    "avx", "avx2", "f16c", "fma", "avx_vnni", "avx_vnni_int8",
    "avx512f", "avx512bw", "avx512dq", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
    "neon", "asimd", "asimdhp", "asimddp", "asimdfhm", "sve", "sve2", "i8mm", "bf16",
})  # fmt: skip
"""Extensions that compilers of neural networks choose kernels by; a profile lists no others."""

_RELEASE = re.compile(r"\d+(?:\.\d+)*")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def shipped_profiles() -> dict[str, HardwareProfile]:
    """Return the profiles that come with this installation, by id, sorted.

    Raises:
        ConfigurationError: this installation lacks them.
        DocumentError: one of them is malformed.
    """
    return {name: read_profile(path) for name, path in sorted(_shipped_paths().items())}


def find_profile(name: str) -> HardwareProfile:
    """Return the shipped profile with an id, or the one in a TOML file.

    Raises:
        ConfigurationError: no profile has this id (with the nearest), or the file is unreadable.
        DocumentError: the file is malformed.
    """
    shipped = _shipped_paths()
    if name in shipped:
        return read_profile(shipped[name])
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        return read_profile(path)
    near = get_close_matches(name, shipped, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "see: insight-edge profiles list"
    raise ConfigurationError(f"no hardware profile has the id '{name}'", hint=hint)


def read_profile(path: Path) -> HardwareProfile:
    """Return the profile in a TOML file.

    Raises:
        ConfigurationError: the file cannot be read.
        LimitExceededError: more than `MAX_PROFILE_BYTES`.
        DocumentError: not TOML, a key is unknown or missing, or a rule of `flaws` is broken.
    """
    data = _read(path)
    try:
        profile = decode_toml(HardwareProfile, data)
    except DocumentError as error:
        raise type(error)(f"{path}: {error}", hint=error.hint) from error
    for flaw in flaws(profile):
        raise DocumentError(f"{path}: {flaw}")
    return profile


def flaws(profile: HardwareProfile) -> tuple[str, ...]:
    """Return in what the profile breaks the rules that its schema cannot say (P1 to P5).

    The rules are in docs/guides/hardware-profiles.md.
    """
    return tuple(_flaws(profile))


def profile_from_facts(facts: Facts, profile_id: str, *, on: date) -> HardwareProfile:
    """Return the profile that a machine with these facts is the least member of.

    It holds only what the facts say; what a machine cannot read off itself (bandwidth,
    peaks, price) is absent, and limits are for a person to choose.
    """
    isa = tuple(name for name in facts.isa if name in SELECTED_ISA)
    return HardwareProfile(
        id=profile_id,
        name=f"{facts.cpu_model}, {facts.cores} cores, {facts.memory_bytes / 2**30:.0f} GiB",
        cpu=Cpu(
            arch=facts.arch,
            model=_detected(facts.cpu_model),
            isa=_detected(isa),
            cores=_detected(facts.cores),
        ),
        dram=Dram(length_bytes=_detected(facts.memory_bytes)),
        accelerators=tuple(
            Accelerator(kind="gpu", model=_detected(model)) for model in facts.accelerators
        ),
        os=_detected(facts.os),
        engines={token: _support(engine) for token, engine in sorted(facts.engines.items())},
        sources={DETECTED: Source(address=DETECTED, date=on.isoformat())},
    )


def _shipped_paths() -> dict[str, Path]:
    return {path.stem: path for path in shipped_folder("hardware_profiles").glob("*.toml")}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROFILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_PROFILE_BYTES:
        raise LimitExceededError(f"{path}: a profile has at most {MAX_PROFILE_BYTES} bytes")
    return data


def _flaws(profile: HardwareProfile) -> Iterator[str]:
    if not _ID.fullmatch(profile.id):
        yield f"id '{profile.id}' is not lower-case letters and digits, joined by '-'"
    named = figures(profile)
    for name in unsourced(profile):
        yield f"'{name}' names the source '{named[name].source}', which is not listed"
    for key in sorted(profile.sources.keys() - {figure.source for figure in named.values()}):
        yield f"the source '{key}' is listed, and no figure names it"
    for key, source in profile.sources.items():
        if source.address != DETECTED and not re.match(r"https?://\S+$", source.address):
            yield f"the address of source '{key}' is neither http(s)://… nor '{DETECTED}'"
        if not _is_iso_date(source.date):
            yield f"the date of source '{key}' is not YYYY-MM-DD: '{source.date}'"


def _is_iso_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _detected(value: Any) -> Figure[Any]:
    return Figure(value=value, source=DETECTED)


def _support(engine: EngineFacts) -> EngineSupport:
    release = _RELEASE.match(engine.version)
    return EngineSupport(
        versions=f">={release.group()}" if release else "",
        precisions=tuple(p for p in PRECISIONS if p == "fp32" or p in engine.precisions),
    )
