# SPDX-License-Identifier: Apache-2.0
"""Inside a library that TVM compiled: its virtual machine tells of every kernel that it calls.

Kernels are named after the operators that were fused into them, in TVM's words; what
the source model calls their tensors is not left. What only moves memory about is no
step.
"""

import re
from collections.abc import Callable
from typing import Any

from insight_edge.runtime.insides import LayerFacts

OWN = ("vm.builtin.", "shape_func")
"""Begin the names of what the machine itself does, and of what works out open shapes."""

_WORDS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}
_NUMBER = re.compile(r"(?<=[a-z])\d+(?=_|$)")


class Calls:
    """The kernels that a machine has called, in order; it is told by `note` before each."""

    def __init__(self) -> None:
        self.layers: list[LayerFacts] = []

    def note(self, _: Any, symbol: str, before: Any, __: Any, *arguments: Any) -> int:
        """Write a call down and return 0, the machine's word for going on."""
        if before and not symbol.startswith(OWN):
            tensors = [one for one in arguments if hasattr(one, "dtype")]
            if tensors:
                self.layers.append(_layer(symbol, str(tensors[-1].dtype)))
        return 0


def layers(ffi: Any, machine: Any, run: Callable[[], Any]) -> tuple[LayerFacts, ...]:
    """Return the kernels that one inference calls.

    Args:
        ffi: the module `tvm_ffi`.
        machine: an initialised one.
        run: asks it once.
    """
    calls = Calls()
    machine["set_instrument"](ffi.convert(calls.note))
    run()
    return tuple(calls.layers)


def _layer(symbol: str, dtype: str) -> LayerFacts:
    op = _NUMBER.sub("", symbol)
    parts = tuple(op.removeprefix("fused_").split("_")) if op.startswith("fused_") else ()
    return LayerFacts(
        name=symbol, op=op, precision=_WORDS.get(dtype, dtype), placement="CPU", parts=parts
    )
