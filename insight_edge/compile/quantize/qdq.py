# SPDX-License-Identifier: Apache-2.0
"""Static INT8 of ONNX as QDQ nodes: the whole graph, all but some layers, or one alone.

The flavour is the one that ONNX Runtime is fast with: unsigned asymmetric
activations, signed symmetric weights a channel. Scales come from the smallest
and largest values seen on the calibration rows.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from insight_edge.compile.graph.reference import Reference
from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import Arrays, CalibrationRows, Reader
from insight_edge.compile.quantize.int8 import saturates
from insight_edge.compile.quantize.layers import layer_ranges, multiplies, why_hard
from insight_edge.compile.quantize.qdq_ready import made_ready
from insight_edge.compile.quantize.sensitivity import (
    MAX_ROWS,
    Layer,
    Sensitivity,
    grouped,
    worst_sqnr_db,
)


def write_qdq(job: BuildJob, path: Path, *, left_out: Sequence[str] = ()) -> None:
    """Write the quantised model of a job.

    Args:
        job: with calibration rows.
        path: of the new file.
        left_out: names of operators, as `sensitivity_of` gives them, to leave as they are.

    Raises:
        BuildFailedError: there are no rows, or too few.
    """
    prepared = made_ready(Path(job.model), named=bool(left_out))
    _quantize(job, prepared, path, rows=Reader(CalibrationRows(job)), exclude=left_out)


def sensitivity_of(job: BuildJob) -> Sensitivity:
    """Return what quantising each layer alone does to the answers on calibration rows.

    Ranges are taken once, for all layers.

    Raises:
        BuildFailedError: there are no rows, or too few.
    """
    prepared, rows = made_ready(Path(job.model), named=True), CalibrationRows(job, most=MAX_ROWS)
    by_name = {node.name: node for node in prepared.graph.node}
    wanted = answers(prepared.SerializeToString(), rows)
    ranges = layer_ranges(prepared, rows, answers)
    found = []
    with TemporaryDirectory() as scratch:
        kept, path = Path(scratch) / "ranges.json", Path(scratch) / "one.onnx"
        for members in grouped([(n.name, multiplies(n)) for n in prepared.graph.node]):
            nodes = [by_name[name] for name in members]
            reader = None if kept.exists() else Reader(rows)
            _quantize(job, prepared, path, rows=reader, only=members, kept=kept)
            first = next(filter(multiplies, nodes), nodes[0])
            found.append(
                Layer(
                    name=first.name,
                    op=first.op_type,
                    members=tuple(members),
                    why=why_hard(prepared, nodes, ranges),
                    sqnr_db=worst_sqnr_db(wanted, answers(path.read_bytes(), rows)),
                )
            )
    return Sensitivity(layers=tuple(sorted(found, key=lambda layer: layer.sqnr_db)))


def _quantize(
    job: BuildJob,
    prepared: onnx.ModelProto,
    path: Path,
    *,
    rows: Reader | None,
    exclude: Sequence[str] = (),
    only: Sequence[str] = (),
    kept: Path | None = None,
) -> None:
    """Quantise; without VNNI products are summed in pairs in 16 bits, so weights get 7 bits."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    # It moves the weights of what it is given into a file of its own.
    given = onnx.ModelProto()
    given.CopyFrom(prepared)
    quantize_static(
        given,
        path,
        rows,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=saturates(job),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=list(exclude),
        nodes_to_quantize=list(only),
        calibration_cache_path=kept,
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )


def answers(model: bytes, rows: Iterable[Arrays]) -> list[dict[str, Any]]:
    """Return what an ONNX model answers to batches."""
    reference = Reference(model)
    return [reference.answers(row) for row in rows]
