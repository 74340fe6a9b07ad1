# SPDX-License-Identifier: Apache-2.0
"""Inside a library that TVM compiled: its virtual machine tells of every kernel that it calls.

Kernels are named after the operators that were fused into them, in TVM's words; what
the source model calls their tensors is not left. What only moves memory about is no
step.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.runtime.insides import LayerFacts

OWN = ("vm.builtin.", "shape_func")
"""Begin the names of what the machine itself does, and of what works out open shapes."""

_WORDS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}
_NUMBER = re.compile(r"(?<=[a-z])\d+(?=_|$)")


class Calls:
    """The kernels that a machine has called, in order; it is told by `note` after each.

    Attributes:
        made: what each wrote, by its symbol.
    """

    def __init__(self) -> None:
        self.made: list[tuple[str, NDArray[Any]]] = []

    def note(self, _: Any, symbol: str, before: Any, __: Any, *arguments: Any) -> int:
        """Write a call down and return 0, the machine's word for going on."""
        if not before and not symbol.startswith(OWN):
            tensors = [one for one in arguments if hasattr(one, "dtype")]
            if tensors:  # a kernel writes into the last
                self.made.append((symbol, np.from_dlpack(tensors[-1]).copy()))
        return 0


def called(ffi: Any, machine: Any, run: Callable[[], Any]) -> list[tuple[str, NDArray[Any]]]:
    """Return the kernels that one inference calls, in order, and what each makes.

    Args:
        ffi: the module `tvm_ffi`.
        machine: an initialised one.
        run: asks it once.
    """
    calls = Calls()
    machine["set_instrument"](ffi.convert(calls.note))
    run()
    return calls.made


def layers(made: Sequence[tuple[str, NDArray[Any]]]) -> tuple[LayerFacts, ...]:
    """Return the kernels that were called."""
    return tuple(_layer(symbol, array.dtype.name) for symbol, array in made)


def joined(
    rows: Sequence[Sequence[tuple[str, NDArray[Any]]]],
) -> dict[str, NDArray[Any]]:
    """Return what each kernel makes of all rows, in order of the calls, by place and symbol.

    Args:
        rows: the calls of each row, or of all rows at once.
    """
    return {
        f"{place:05} {calls[0][0]}": np.concatenate([np.atleast_1d(array) for _, array in calls])
        for place, calls in enumerate(zip(*rows, strict=True))
    }


def _layer(symbol: str, dtype: str) -> LayerFacts:
    op = _NUMBER.sub("", symbol)
    parts = tuple(op.removeprefix("fused_").split("_")) if op.startswith("fused_") else ()
    return LayerFacts(
        name=symbol, op=op, precision=_WORDS.get(dtype, dtype), placement="CPU", parts=parts
    )
