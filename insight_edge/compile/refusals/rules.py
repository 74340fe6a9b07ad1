# SPDX-License-Identifier: Apache-2.0
"""Rules of what a toolchain does not take of an operator that it has, as data for a plan.

A rule is about one call: which inputs are computed, which outputs are used, of
what types, with which attributes. Reasons and hints are written once, beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from insight_edge.compile.refusals.refusal import Refusal, nodes_named
from insight_edge.documents.workload import Operand, Signature, Workload

Met: TypeAlias = Callable[[Signature], bool]

REDUCTIONS = frozenset({
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
})  # fmt: skip
"""Operators whose second input says over which axes."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is not taken.

    Attributes:
        ops: operators, as `Operation.op` has them.
        met: whether a call of one is meant.
        reason: with `{}` where the operators go.
        hint: what to change; the nodes are named after it.
    """

    ops: frozenset[str]
    met: Met
    reason: str
    hint: str

    def names(self, signature: Signature) -> bool:
        """Return whether it is about a call."""
        return signature.op in self.ops and self.met(signature)


def rule_refusal(workload: Workload, rules: Sequence[Rule]) -> Refusal | None:
    """Return the refusal by the first rule that a call of a model meets, or None."""
    for rule in rules:
        met = {place for place, one in enumerate(workload.signatures) if rule.names(one)}
        if met:
            nodes = [each for each in workload.operations if each.signature in met]
            ops = sorted({each.op for each in nodes})
            where = ", ".join(nodes_named(op, [n.name for n in nodes if n.op == op]) for op in ops)
            return Refusal(rule.reason.format(", ".join(ops)), hint=f"{rule.hint}: {where}")
    return None


def of_data(place: int) -> Met:
    """Return what is met by an input that depends on what callers pass."""
    return _of(place, lambda operand: operand.origin == "data")


def of_dtype(place: int, *dtypes: str) -> Met:
    """Return what is met by an input of one of these types."""
    return _of(place, lambda operand: operand.dtype in dtypes)


def passed_as(*dtypes: str) -> Met:
    """Return what is met by any input of these types that depends on what callers pass."""
    return lambda signature: any(
        operand is not None and operand.origin == "data" and operand.dtype in dtypes
        for operand in signature.inputs
    )


def of_rank(place: int, *ranks: int) -> Met:
    """Return what is met by an input of one of these numbers of dimensions."""
    return _of(place, lambda operand: operand.rank in ranks)


def given(place: int) -> Met:
    """Return what is met by an input that is there."""
    return _of(place, lambda _: True)


def left_out(place: int) -> Met:
    """Return what is met by an input that is not there."""
    there = given(place)
    return lambda signature: not there(signature)


def used(place: int) -> Met:
    """Return what is met by an output that somebody reads."""
    return lambda signature: place < len(signature.outputs) and bool(signature.outputs[place])


def attribute(name: str, *values: int | str) -> Met:
    """Return what is met by an attribute of one of these values, of any but 0 for none."""

    def met(signature: Signature) -> bool:
        value = signature.attributes.get(name)
        return value in values if values else bool(value)

    return met


def beyond(name: str, *values: int | str) -> Met:
    """Return what is met by an attribute that is given and is, or holds, another than these."""

    def met(signature: Signature) -> bool:
        value = signature.attributes.get(name, ())
        return not set(value if isinstance(value, tuple) else (value,)) <= set(values)

    return met


def said(name: str) -> Met:
    """Return what is met by an attribute that is given."""
    return lambda signature: name in signature.attributes


def not_along_last(signature: Signature) -> bool:
    """Return whether a call is along another axis than the last of its first input."""
    first = signature.inputs[0]
    last = -1 if first is None or first.rank is None else first.rank - 1
    return signature.attributes.get("axis", -1) not in {-1, last}


def some(*parts: Met) -> Met:
    """Return what is met where one is."""
    return lambda signature: any(part(signature) for part in parts)


def every(*parts: Met) -> Met:
    """Return what is met where all are."""
    return lambda signature: all(part(signature) for part in parts)


def always(signature: Signature) -> bool:  # noqa: ARG001 (a `Met`)
    """Return True."""
    return True


def _of(place: int, met: Callable[[Operand], bool]) -> Met:
    def of(signature: Signature) -> bool:
        operand = signature.inputs[place] if place < len(signature.inputs) else None
        return operand is not None and met(operand)

    return of
