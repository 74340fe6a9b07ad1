# SPDX-License-Identifier: Apache-2.0
"""A program of PyTorch to a `.tflite` file in FP32 by litert-torch, without a way through ONNX.

For one row at a time where the batch is free, as files converted from ONNX are.
Axes stay as they are; integers of 64 bits become such of 32. The program was
looked at by its importer.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insight_edge.compile.job import BuildJob
from insight_edge.errors import BuildFailedError

if TYPE_CHECKING:
    import torch

FILE = "program.tflite"


def convert_program(job: BuildJob, scratch: Path) -> Path:
    """Return the FP32 file of a job's program, in a directory that is thrown away later.

    Raises:
        BuildFailedError: the converter refuses the program.
    """
    import litert_torch
    import onnx
    import torch

    from insight_edge.compile.shapes import specs_of

    specs, _ = specs_of(onnx.load(job.model, load_external_data=False))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module, examples = _flat(torch.export.load(str(job.original)))
            rows = tuple(
                example[:1] if isinstance(spec.shape[0], str) else example
                for spec, example in zip(specs, examples, strict=True)
            )
            litert_torch.convert(module, rows).export(str(scratch / FILE))
    except Exception as error:
        line = (str(error).strip().splitlines() or [""])[0]
        raise BuildFailedError(
            f"litert-torch does not convert it: {type(error).__name__}: {line}"
        ) from error
    return scratch / FILE


def _flat(
    program: "torch.export.ExportedProgram",
) -> "tuple[torch.nn.Module, list[torch.Tensor]]":
    """Return a program as a module of tensors by place, and the example of each."""
    import torch

    tree = torch.utils._pytree  # noqa: SLF001 (torch offers no public name for it)
    examples, shape = tree.tree_flatten(program.example_inputs)
    places = [place for place, leaf in enumerate(examples) if torch.is_tensor(leaf)]
    inner = program.module()

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            leaves = [*examples]
            for place, tensor in zip(places, tensors, strict=True):
                leaves[place] = tensor
            args, kwargs = tree.tree_unflatten(leaves, shape)
            return tuple(tree.tree_leaves(self.inner(*args, **kwargs)))

    return Flat(), [examples[place] for place in places]
