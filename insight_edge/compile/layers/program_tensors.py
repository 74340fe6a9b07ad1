# SPDX-License-Identifier: Apache-2.0
"""What is inside a program of PyTorch on some rows: every floating-point tensor, by its node.

For artifacts that were made of the program itself and know its names, not those of
the ONNX. The program was looked at by its importer.
"""

import io
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.layers.divergence import SourceTensor
from insight_edge.compile.sources.program_steps import PREFIX, stepped
from insight_edge.compile.sources.source import Original
from insight_edge.errors import ModelError

FORM = "torch"
"""Of the files that hold programs."""

Arrays = dict[str, NDArray[Any]]


def program_tensors(
    original: Original, fed: Mapping[str, NDArray[Any]]
) -> tuple[tuple[SourceTensor, ...], Arrays]:
    """Return the tensors of a program in order, and their values.

    Args:
        original: file of the form `FORM`.
        fed: the model's inputs, in its order.

    Raises:
        ModelError: the program fails on these rows.
    """
    import torch

    values: Arrays = {}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = stepped(torch.export.load(io.BytesIO(original.data)))
            for name, module in program.module.named_modules():
                if name.rpartition(".")[2].startswith(PREFIX):
                    node = name.rpartition(".")[2].removeprefix(PREFIX)
                    module.register_forward_hook(partial(_keep, values, node))
            program.module(*[torch.from_numpy(np.ascontiguousarray(one)) for one in fed.values()])
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"the program cannot be looked into: {line}") from error
    order = tuple(
        SourceTensor(
            name=step.name,
            op=step.op,
            node=step.name,
            inputs=step.inputs,
            aliases=(PREFIX + step.name,),
        )
        for step in program.steps
    )
    return order, values


def _keep(values: Arrays, name: str, _: Any, __: Any, answer: Any) -> None:
    import torch

    if torch.is_tensor(answer) and answer.is_floating_point():
        values[name] = np.atleast_1d(answer.detach().numpy().copy())
