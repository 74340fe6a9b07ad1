# SPDX-License-Identifier: Apache-2.0
"""A trained network as an ONNX file that is proven to compute the same."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from insight_cloud.evaluation.source_model import run_onnx as run_onnx  # noqa: PLC0414 - the demo too
from insight_cloud.platform.errors import TrainingError

OPSET = 18
"""The newest that every compiler takes."""

MAX_DIFFERENCE = 1e-4
"""Of a logit; the exporter folds normalisation into convolutions, which rounds differently."""


def onnx_from_network(
    network: nn.Module,
    images: NDArray[np.float32],
    *,
    input_name: str,
    output_name: str,
    threads: int,
) -> bytes:
    """Return the network as ONNX with a free batch dimension, weights inside.

    Args:
        network: in evaluation mode.
        images: float32 (at least 2 rows, ...) on which both must agree.
        input_name: of its one input.
        output_name: of its one output.
        threads: for the comparison.

    Raises:
        TrainingError: the exporter chose another opset, or the file computes something else.
    """
    tensor = torch.from_numpy(images)
    # Traced with two rows: one would be taken for a constant.
    model = _exported(network, tensor[:2], input_name, output_name)
    onnx.checker.check_model(model, full_check=True)
    _check_opset(model)
    _forget_origin(model)
    data: bytes = model.SerializeToString(deterministic=True)
    with torch.inference_mode():
        expected = network(tensor).numpy()
    found = run_onnx(data, {input_name: images}, threads=threads)[output_name]
    difference = float(np.abs(expected - found).max())
    if not difference <= MAX_DIFFERENCE:
        raise TrainingError(
            f"the exported model differs from the trained one by up to {difference:.2g}",
            hint=f"at most {MAX_DIFFERENCE:.2g} is rounding; report this with train.toml",
        )
    return data


def _exported(
    network: nn.Module, example: torch.Tensor, input_name: str, output_name: str
) -> onnx.ModelProto:
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            verbose=False,
        )
    if program is None:
        raise TrainingError("the exporter returned nothing")
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what torch 2.13 says to its own developers while it exports."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _check_opset(model: onnx.ModelProto) -> None:
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("") != OPSET:
        raise TrainingError(f"the exporter wrote opset {opsets.get('')}, not {OPSET}")


def _forget_origin(model: onnx.ModelProto) -> None:
    """Drop stack traces: they name this machine's folders, and would be in the model's digest."""
    graph = model.graph
    described = (*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info)
    for holder in (model, graph, *described):
        del holder.metadata_props[:]
