# SPDX-License-Identifier: Apache-2.0
"""Read what the control groups of this process allow it: CPU time and memory.

A limit may be set on any ancestor, and in a container the ancestors may be
hidden; so every visible one is read and the tightest wins. Both hierarchies are
read, because boards with an older kernel still mount version 1. Nothing is set.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
UNLIMITED_BYTES = 2**62
"""Version 1 says "no limit" with a figure near 2^63; nothing real comes close to this."""


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return how many processors' worth of time this process may use, or None for all."""
    quotas = [*_quotas_v2(root), *_quotas_v1(root)]
    return min(quotas, default=None)


def memory_limit_bytes(root: Path = ROOT) -> int | None:
    """Return the tightest memory limit on this process, or None where there is none."""
    words = [
        *_values(root, "", "memory.max"),
        *_values(root, "memory", "memory.limit_in_bytes"),
    ]
    limits = [int(word) for word in words if word.isdigit()]
    return min((limit for limit in limits if limit < UNLIMITED_BYTES), default=None)


def memory_left_bytes(root: Path = ROOT) -> int | None:
    """Return what the tightest group leaves this process to take; None where there is no limit.

    Files that only lie in memory and are not used count as left: they go when room is wanted.
    """
    places = [
        *((place, "memory.max", "memory.current", "inactive_file") for place in _places(root, "")),
        *(
            (place, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            for place in _places(root, "memory")
        ),
    ]
    left = [_left_bytes(place, *names) for place, *names in places]
    return min((each for each in left if each is not None), default=None)


def _left_bytes(place: Path, most: str, used: str, unused: str) -> int | None:
    limit, taken = read_text(place / most) or "", read_text(place / used) or ""
    if not (limit.isdigit() and taken.isdigit()) or int(limit) >= UNLIMITED_BYTES:
        return None
    cached = dict(
        line.partition(" ")[::2] for line in (read_text(place / "memory.stat") or "").splitlines()
    ).get(unused, "")
    return max(0, int(limit) - int(taken) + (int(cached) if cached.isdigit() else 0))


def held_back_s(root: Path = ROOT) -> float | None:
    """Return how long this process's groups were kept from running, their quota used up.

    It is that of the group, or ancestor, that was kept longest; None where none tells.
    """
    told = [
        *_counts(_values(root, "", "cpu.stat"), "throttled_usec", 1e-6),
        *_counts(_values(root, "cpu", "cpu.stat"), "throttled_time", 1e-9),
    ]
    return max(told, default=None)


def _counts(texts: Iterator[str], name: str, unit_s: float) -> Iterator[float]:
    for text in texts:
        fields = dict(line.partition(" ")[::2] for line in text.splitlines())
        if fields.get(name, "").isdigit():
            yield int(fields[name]) * unit_s


def _quotas_v2(root: Path) -> Iterator[float]:
    for value in _values(root, "", "cpu.max"):
        quota, _, period = value.partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _quotas_v1(root: Path) -> Iterator[float]:
    quotas = _values(root, "cpu", "cpu.cfs_quota_us")
    periods = _values(root, "cpu", "cpu.cfs_period_us")
    for quota, period in zip(quotas, periods, strict=False):
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _values(root: Path, controller: str, name: str) -> Iterator[str]:
    """Yield the file `name` of this process's group and of every visible ancestor."""
    for place in _places(root, controller):
        text = read_text(place / name)
        if text:
            yield text


def _places(root: Path, controller: str) -> Iterator[Path]:
    mount = root / "sys/fs/cgroup" / controller
    group = _group(root, controller)
    for place in (group, *group.parents):
        yield mount / place


def _group(root: Path, controller: str) -> Path:
    """Return the group of this process in a hierarchy, relative to where it is mounted."""
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(group.lstrip("/"))
    return Path()


def read_text(path: Path) -> str | None:
    """Return a kernel file's text without its line end, or None where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
