# SPDX-License-Identifier: Apache-2.0
"""A refusal that knows what to change, for the words of `Backend.refuse`.

It is text like any other refusal, with a hint beside it. What is known of an
operator that nothing can be done with is which nodes it is in.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Self

from insight_edge.documents.workload import Workload


class Refusal(str):
    """Why a target is not built.

    Attributes:
        hint: what to change in the model, in one clause.
    """

    __slots__ = ("hint",)
    hint: str

    def __new__(cls, reason: str, *, hint: str) -> Self:
        """Return the reason with its hint."""
        made = super().__new__(cls, reason)
        made.hint = hint
        return made


class OnDeviceOnly(Refusal):
    """Why a target is not built here, where all else is well: a device of the profile builds it.

    Attributes:
        accelerator: that the device has, by its model.
    """

    __slots__ = ("accelerator",)
    accelerator: str

    def __new__(cls, reason: str, *, hint: str, accelerator: str) -> Self:
        """Return the reason with its hint and what builds it."""
        made = super().__new__(cls, reason, hint=hint)
        made.accelerator = accelerator
        return made


def operator_refusal(workload: Workload, refused: Collection[str], reason: str) -> Refusal | None:
    """Return the refusal of a model that has any of these operators.

    Args:
        workload: of the model.
        refused: operators, as `Operation.op` has them.
        reason: with `{}` where their names go.
    """
    met = sorted({operation.op for operation in workload.operations} & set(refused))
    if not met:
        return None
    return Refusal(reason.format(", ".join(met)), hint=f"replace {named(workload, met)}")


def named(workload: Workload, operators: Iterable[str]) -> str:
    """Return operators with the first node of each: `Det (node 'd1' and 2 more)`."""
    nodes = workload.operations
    return ", ".join(nodes_named(op, [n.name for n in nodes if n.op == op]) for op in operators)


def nodes_named(op: str, names: Sequence[str]) -> str:
    """Return an operator with the first of some nodes."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{op} (node '{names[0]}'{more})" if names else f"{op} (no node)"
