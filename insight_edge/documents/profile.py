# SPDX-License-Identifier: Apache-2.0
"""A hardware profile: one device class, and only its hardware.

Every figure names its source; a figure without one is absent, never guessed.
`mismatch` compares a profile with the facts a device tells about itself. This
module does not detect anything (`bench.machine` does) and reads no files
(`compile.profiles.reading` does).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar

import msgspec

from insight_edge.documents.codec import Document, Versioned
from insight_edge.documents.facts import Facts
from insight_edge.documents.target import Precision

T = TypeVar("T")

FormFactor = Literal[
    "module",
    "sbc",
    "developer-kit",
    "pcie-card",
    "mini-pc",
    "desktop",
    "server",
    "cloud-instance",
]
"""How a device comes: to be built in, to stand somewhere, or to be rented."""


class Source(Document, frozen=True, kw_only=True):
    """Where figures come from.

    Attributes:
        address: a public address, or `detected` for figures read off the machine itself.
        date: the ISO date on which it was read.
    """

    address: str
    date: str


class Figure(Document, Generic[T], frozen=True, kw_only=True):
    """A value and the key, in the profile's `sources`, of where it comes from."""

    value: T
    source: str


class Caches(Document, frozen=True, kw_only=True):
    """Cache sizes in bytes, as one core sees them (level 3 as shared)."""

    l1d_bytes: Figure[int] | None = None
    l2_bytes: Figure[int] | None = None
    l3_bytes: Figure[int] | None = None


class Cpu(Document, frozen=True, kw_only=True):
    """The processor.

    Attributes:
        arch: `x86_64`, `aarch64` or `armv7l`, as `uname -m` says.
        isa: extensions that matter to a compiler, as Linux names them (`avx2`, `avx512_vnni`,
            `asimddp`).
        cores: logical processors that a process may use.
        clock_hz: highest sustained clock.
    """

    arch: str
    model: Figure[str]
    isa: Figure[tuple[str, ...]]
    cores: Figure[int]
    clock_hz: Figure[float] | None = None
    caches: Caches = Caches()


class Accelerator(Document, frozen=True, kw_only=True):
    """A GPU, NPU or the like."""

    kind: str
    model: Figure[str]
    compute_capability: Figure[str] | None = None
    memory_bytes: Figure[int] | None = None
    bandwidth_bytes_per_s: Figure[float] | None = None
    peak_ops_per_s: dict[Precision, Figure[float]] = {}


class Dram(Document, frozen=True, kw_only=True):
    """Main memory."""

    length_bytes: Figure[int]
    bandwidth_bytes_per_s: Figure[float] | None = None


class PowerMode(Document, frozen=True, kw_only=True):
    """A mode the device can be set to, and the most it then draws."""

    name: str
    power_w: Figure[float]


class EngineSupport(Document, frozen=True, kw_only=True):
    """An engine that runs on this class.

    Attributes:
        versions: a requirement such as `>=1.22`.
        precisions: those worth trying there.
    """

    versions: str = ""
    precisions: tuple[Precision, ...]


class Limits(Document, frozen=True, kw_only=True):
    """What a bundle for this class must stay within; choices, not figures.

    Attributes:
        latency_p50_ms: of one single-stream inference.
        memory_bytes: peak resident memory of the process that runs it.
        artifact_bytes: of the files of one variant.
        max_drop_pp: percentage points of the task metric below the source model.
    """

    latency_p50_ms: float | None = None
    memory_bytes: int | None = None
    artifact_bytes: int | None = None
    max_drop_pp: float | None = None


class HardwareProfile(Versioned, frozen=True, kw_only=True):
    """One device class.

    Attributes:
        id: what `--profile` takes, e.g. `rpi5-8gb`; the file has the same name.
        threads: inference threads measurements use on it; None means all cores.
        engines: by token.
        form_factor: how it comes.
        dimensions_mm: width, depth and height, in any order, of what is bought.
    """

    id: str
    name: str
    form_factor: Figure[FormFactor] | None = None
    dimensions_mm: Figure[tuple[float, float, float]] | None = None
    cpu: Cpu
    threads: int | None = None
    dram: Dram
    accelerators: tuple[Accelerator, ...] = ()
    peak_ops_per_s: dict[Precision, Figure[float]] = {}
    storage_bytes_per_s: Figure[float] | None = None
    os: Figure[str] | None = None
    power_modes: tuple[PowerMode, ...] = ()
    price_usd: Figure[float] | None = None
    engines: dict[str, EngineSupport]
    limits: Limits = Limits()
    sources: dict[str, Source]


def mismatch(profile: HardwareProfile, facts: Facts) -> str | None:
    """Return why a machine with these facts cannot stand in for the profile, or None.

    A machine that is more capable (more cores, memory or extensions) matches; `exceeds`
    says so. There is no override.
    """
    wanted = [accelerator.model.value for accelerator in profile.accelerators]
    absent = [model for model in wanted if model not in facts.accelerators]
    reason = host_mismatch(profile, facts)
    if reason is None and absent:
        return f"has {', '.join(absent)}, which this machine has not"
    return reason


def host_mismatch(profile: HardwareProfile, facts: Facts) -> str | None:
    """Return what `mismatch` says of all but the accelerators, which a CPU engine does without."""
    cpu = profile.cpu
    if cpu.arch != facts.arch:
        return f"is {cpu.arch}, this machine is {facts.arch}"
    missing = [name for name in cpu.isa.value if name not in facts.isa]
    if missing:
        return f"needs {', '.join(missing)}, which this CPU has not"
    if facts.cores < cpu.cores.value:
        return f"has {cpu.cores.value} cores, this machine has {facts.cores}"
    if facts.memory_bytes < profile.dram.length_bytes.value * 0.9:
        wanted, found = profile.dram.length_bytes.value / 2**30, facts.memory_bytes / 2**30
        return f"has {wanted:.1f} GiB of memory, this machine has {found:.1f}"
    return None


def figures(profile: HardwareProfile) -> dict[str, Figure[Any]]:
    """Return every figure by its dotted name (`dram.length_bytes`), in document order."""
    return dict(_figures(profile, ""))


def unsourced(profile: HardwareProfile) -> tuple[str, ...]:
    """Return the dotted names of the figures whose source the profile does not list."""
    listed = profile.sources
    return tuple(name for name, figure in figures(profile).items() if figure.source not in listed)


def _figures(value: object, name: str) -> Iterator[tuple[str, Figure[Any]]]:
    if isinstance(value, Figure):
        yield name, value
        return
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, Document):
        fields = msgspec.structs.fields(value)
        items = ((field.encode_name, getattr(value, field.name)) for field in fields)
    elif isinstance(value, dict):
        items = value.items()
    elif isinstance(value, tuple):
        items = enumerate(value)
    for key, item in items:
        yield from _figures(item, f"{name}.{key}" if name else str(key))


def exceeds(profile: HardwareProfile, facts: Facts) -> bool:
    """Return whether what is measured on these facts is only a *bound* for the profile."""
    return facts.cpu_model != profile.cpu.model.value
