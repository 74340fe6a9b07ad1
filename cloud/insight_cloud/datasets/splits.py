# SPDX-License-Identifier: Apache-2.0
"""Cut the rows of a data set into disjoint, stratified splits, the same for ever.

The order comes from SHA-256, not from a random number generator, so no release
of a library changes it. Pure: rows are indices here. Splitting comes before any
augmentation, so two variants of one original are never in two splits.
"""

import hashlib
from collections.abc import Mapping, Sequence


def stratified_splits(
    labels: Sequence[int], sizes: Mapping[str, int], *, seed: str
) -> dict[str, tuple[int, ...]]:
    """Return the row indices of each split; every row is in exactly one.

    Each class is spread evenly over one line of all rows, which is then cut: the share of a
    class in a split differs from its share in the whole by at most one row at either cut.
    Within a split the order is that of the hash, independent of the class.

    Args:
        labels: the class of each row.
        sizes: rows a split, in the order of cutting; they add up to all rows.
        seed: names the order.

    Raises:
        ValueError: the sizes do not add up.
    """
    if sum(sizes.values()) != len(labels):
        raise ValueError(f"{sum(sizes.values())} rows in splits, {len(labels)} in the data set")
    shuffled = sorted(range(len(labels)), key=lambda row: _hash(seed, row))
    line = _interleave(shuffled, labels)
    place = {row: position for position, row in enumerate(shuffled)}
    splits: dict[str, tuple[int, ...]] = {}
    start = 0
    for name, size in sizes.items():
        splits[name] = tuple(sorted(line[start : start + size], key=place.__getitem__))
        start += size
    return splits


def _interleave(rows: Sequence[int], labels: Sequence[int]) -> list[int]:
    """Return the rows so that each class is spread evenly from end to end."""
    members: dict[int, list[int]] = {}
    for row in rows:
        members.setdefault(labels[row], []).append(row)
    position = {
        row: ((rank + 0.5) / len(group), label)
        for label, group in members.items()
        for rank, row in enumerate(group)
    }
    return sorted(rows, key=position.__getitem__)


def _hash(seed: str, row: int) -> bytes:
    return hashlib.sha256(f"{seed}/{row}".encode()).digest()
