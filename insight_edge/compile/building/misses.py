# SPDX-License-Identifier: Apache-2.0
"""Why no kept build could be taken: what differs from the nearest one that is kept.

Pure: ingredients in, words out. The nearest is of the same model and target and
differs in the fewest ingredients; each difference is told from what was kept to
what is wanted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from insight_edge.compile.building.ingredients import Ingredients
from insight_edge.documents.codec import from_plain
from insight_edge.documents.target import Target

NOTHING_KEPT = "nothing is kept here"

_WORDS = {"arch": "architecture", "plugin": "plug-in"}
_SETS = {"isa": "isa", "compute_capabilities": "compute capabilities"}


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """What became of looking for a kept build.

    Attributes:
        state: taken; not found; or not looked for, since what a build leaves behind is wanted.
        why: in words, unless it was taken; each difference from the nearest one by itself.
    """

    state: Literal["hit", "miss", "anew"]
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it on one line."""
        if self.state == "anew":
            return f"built anew: {'; '.join(self.why)}"
        return f"miss: {'; '.join(self.why)}" if self.state == "miss" else self.state


def why_missed(wanted: Ingredients, kept: Sequence[Ingredients]) -> tuple[str, ...]:
    """Return in words why none of the kept builds is the wanted one; at least one reason.

    Args:
        wanted: of the build that was asked for.
        kept: of the builds that are there; of several that are as near, the first is told of.
    """
    if not kept:
        return (NOTHING_KEPT,)
    same_model = [one for one in kept if _model(one) == _model(wanted)]
    if not same_model:
        return ("no build of this model is kept here",)
    token = _target(wanted).token
    same = [one for one in same_model if _target(one).token == token]
    if not same:
        return (f"no {token} of this model is kept here",)
    nearest = min(same, key=lambda one: len(differences(one, wanted)))
    return differences(nearest, wanted) or ("the same build is kept, but not whole",)


def differences(kept: Ingredients, wanted: Ingredients) -> tuple[str, ...]:
    """Return what differs, in words; nothing where the keys are the same."""
    told = [
        *_job_differences(kept.job, wanted.job),
        *_changes("toolchain", kept.toolchain, wanted.toolchain),
        *([] if kept.lock == wanted.lock else ["the lock of the toolchain differs"]),
        *([] if kept.code == wanted.code else ["the code of the backend differs"]),
        *_machine_differences(kept.machine, wanted.machine),
    ]
    if not told and kept.key != wanted.key:
        # A field of a newer release.
        told = ["what another release wrote down differs"]
    return tuple(told)


def _model(one: Ingredients) -> Any:
    return one.job.get("model_digest")


def _target(one: Ingredients) -> Target:
    return from_plain(Target, one.job.get("target", {"backend": "", "precision": "fp32"}))


def _job_differences(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    told: list[str] = []
    for name in sorted(kept.keys() | wanted.keys()):
        old, new = kept.get(name), wanted.get(name)
        if old == new:
            continue
        if name == "model_digest":
            told.append("the model differs")
        elif name == "original_digest":
            told.append("the file that the model was converted from differs")
        elif name == "calibration_digest":
            told.append(_rows(old, new))
        elif name == "target":
            told += _changes("target", old or {}, new or {})
        elif name in _SETS:
            told.append(_set_difference(_SETS[name], old or (), new or ()))
        else:
            told.append(f"{_WORDS.get(name, name)} {_text(old)} → {_text(new)}")
    return told


def _rows(old: Any, new: Any) -> str:
    if old is None:
        return "it was built without calibration rows"
    return "there are no calibration rows now" if new is None else "the calibration rows differ"


def _machine_differences(kept: Sequence[str], wanted: Sequence[str]) -> list[str]:
    if tuple(kept) == tuple(wanted):
        return []
    if kept[:1] != wanted[:1]:
        return [f"it was built on {_text(kept[:1])}, this machine is {_text(wanted[:1])}"]
    return [_set_difference("isa of this machine", kept[1:], wanted[1:])]


def _changes(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a phrase for each entry that differs, entries of entries by themselves."""
    told: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        left, right = old.get(name), new.get(name)
        if left == right:
            continue
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            told += _changes(f"{what} {name}", left, right)
        else:
            told.append(f"{what} {name} {_text(left)} → {_text(right)}")
    return told


def _set_difference(what: str, old: Sequence[str], new: Sequence[str]) -> str:
    gained, lost = sorted(set(new) - set(old)), sorted(set(old) - set(new))
    parts = [f"gained {', '.join(gained)}"] if gained else []
    parts += [f"lost {', '.join(lost)}"] if lost else []
    return f"{what} {' and '.join(parts) or 'is in another order'}"


def _text(value: Any) -> str:
    """Return a value as people write it, shortened."""
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value)) or "none"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
