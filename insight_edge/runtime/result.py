# SPDX-License-Identifier: Apache-2.0
"""What `infer` returns: the outputs, and where they came from.

A result is made on the hot path, so it only remembers; its id and its flags are
worked out when somebody asks.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from numpy.typing import NDArray

from insight_edge.documents.desired import Role
from insight_edge.documents.owner import Owner

Tensors = Mapping[str, NDArray[Any]]


class Flags(enum.Flag):
    """What was odd about an input; it was answered all the same."""

    NONE = 0
    INPUT_NAN = enum.auto()
    OUT_OF_RANGE = enum.auto()


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered: shared by all results of one bundle in one process.

    Attributes:
        owner: of the state directory; device `local` before enrolment.
        boot: grows by one each time the host starts on its state directory; 0 without one.
        bundle: digest of the manifest.
        judge: flags of the tensors that input features are computed from, and the call's number.
        version: of the model.
        role: in which that bundle answered.
    """

    owner: Owner
    boot: int
    bundle: str
    judge: Callable[[Tensors, int], Flags]
    version: int = 0
    role: Role = "serve"


class Result(msgspec.Struct, frozen=True, eq=False):
    """The answer to one call of `infer`.

    Attributes:
        counter: grows with every call in a boot, across swaps.
        key: what the caller passed.
        outputs: arrays by name after post-processing; they belong to the caller.
        origin: the device, boot and bundle that answered.
        observed: what the input features are computed from; the caller's own arrays where
            nothing is pre-processed.
    """

    counter: int
    key: str | None
    outputs: dict[str, NDArray[Any]]
    origin: Origin
    observed: Tensors

    @property
    def id(self) -> str:
        """`device/deployment/boot/counter`: unique for ever where there is a state directory."""
        owner = self.origin.owner
        return f"{owner.device}/{owner.deployment}/{self.origin.boot}/{self.counter}"

    @property
    def bundle(self) -> str:
        """Digest of the manifest of the bundle that answered, and that bundle alone."""
        return self.origin.bundle

    @property
    def role(self) -> Role:
        """`challenger` where a challenger answered a call with a key of its share."""
        return self.origin.role

    @property
    def flags(self) -> Flags:
        """Whether an input had NaN or was outside the reference's range.

        Worked out when asked, from the input arrays as they then are: ask before
        reusing a buffer. The report counts the flagged rows without being asked.
        """
        return self.origin.judge(self.observed, self.counter)
