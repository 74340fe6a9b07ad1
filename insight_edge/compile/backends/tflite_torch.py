# SPDX-License-Identifier: Apache-2.0
"""A program of PyTorch to a `.tflite` file in FP32 by litert-torch, without a way through ONNX.

For one row at a time where the batch is free, as files converted from ONNX are.
Axes stay as they are; integers of 64 bits become such of 32. Tensors are called after
the program's operators (`compile.sources.program_steps`). The program was looked at by its
importer.
"""

import warnings
from pathlib import Path

from insight_edge.compile.job import BuildJob
from insight_edge.compile.sources.program_steps import stepped
from insight_edge.errors import BuildFailedError

FILE = "program.tflite"


def convert_program(job: BuildJob, scratch: Path) -> Path:
    """Return the FP32 file of a job's program, in a directory that is thrown away later.

    Raises:
        BuildFailedError: the converter refuses the program.
    """
    import litert_torch
    import onnx
    import torch

    from insight_edge.compile.graph.shapes import specs_of

    specs, _ = specs_of(onnx.load(job.model, load_external_data=False))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = stepped(torch.export.load(str(job.original)))
            rows = tuple(
                example[:1] if isinstance(spec.shape[0], str) else example
                for spec, example in zip(specs, program.examples, strict=True)
            )
            litert_torch.convert(program.module, rows).export(str(scratch / FILE))
    except Exception as error:
        line = (str(error).strip().splitlines() or [""])[0]
        raise BuildFailedError(
            f"litert-torch does not convert it: {type(error).__name__}: {line}"
        ) from error
    return scratch / FILE
