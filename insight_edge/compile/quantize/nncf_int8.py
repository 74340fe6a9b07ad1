# SPDX-License-Identifier: Apache-2.0
"""INT8 of OpenVINO models by NNCF: static, of all but some layers, of one alone, or of weights.

No `model_type` is given: what NNCF does by itself for transformers (SmoothQuant)
ruined the answers of one without a word. How far activations reach, and the preset,
are chosen by what they do to the answers on calibration rows: NNCF's own choice, the
mean of the rows' extremes, cuts off the rows that excite a small network most, and
cost one 12 dB and 4 of 100 answers.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import Arrays, CalibrationRows
from insight_edge.compile.quantize.int8 import saturates
from insight_edge.compile.quantize.sensitivity import (
    MAX_ROWS,
    Layer,
    Sensitivity,
    grouped,
    worst_sqnr_db,
)

PRESETS = ("performance", "mixed")
"""Symmetric activations, which are fastest; asymmetric ones where numbers are negative."""

WORTH_DB = 1.0
"""The slower preset has to keep so much more of the answers."""

REACHES = ("extremes", "mean")
"""Of all rows; or the mean of each row's, which outliers move less."""

MULTIPLYING = frozenset(
    {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul", "LSTMSequence"}
)

_STRUCTURE = frozenset({"Parameter", "Constant", "Result", "Convert"})

_SMOOTH = {
    "Sigmoid": "sigmoid",
    "Swish": "SiLU",
    "HSwish": "hard swish",
    "Gelu": "GELU",
    "Erf": "GELU",
    "MVN": "layer normalisation",
}


def quantized(model: Any, job: BuildJob, *, left_out: Sequence[str] = ()) -> Any:
    """Return the model with 8-bit weights and activations.

    Args:
        model: of OpenVINO; it stays as it is.
        job: with calibration rows.
        left_out: names of operators to leave as they are.

    Raises:
        BuildFailedError: the job has no rows, or too few.
    """
    rows, few = CalibrationRows(job), CalibrationRows(job, most=MAX_ROWS)
    wanted = answers(model, few)
    fast, exact = PRESETS

    def tried(preset: str, reach: str) -> tuple[Any, float]:
        made = _quantize(model, job, rows, preset=preset, reach=reach, ignored=left_out)
        kept_db = worst_sqnr_db(wanted, answers(made, few))
        print(f"preset {preset}, {reach}: {kept_db:.1f} dB")  # noqa: T201 (into the build's log)
        return made, kept_db

    found = {reach: tried(fast, reach) for reach in REACHES}
    reach = max(REACHES, key=lambda reach: found[reach][1])
    best, kept_db = found[reach]
    if not _any_negative(best):
        return best
    other, other_db = tried(exact, reach)
    return other if other_db > kept_db + WORTH_DB else best


def weights_quantized(model: Any) -> Any:
    """Return the model with 8-bit weights alone, which needs no rows and computes in float."""
    import nncf

    return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)


def sensitivity_of(model: Any, job: BuildJob) -> Sensitivity:
    """Return what quantising each layer alone does to the answers on calibration rows.

    Raises:
        BuildFailedError: the job has no rows, or too few.
    """
    rows = CalibrationRows(job, most=MAX_ROWS)
    wanted = answers(model, rows)
    ops = {op.friendly_name: op for op in model.get_ordered_ops()}
    ops = {name: op for name, op in ops.items() if op.get_type_name() not in _STRUCTURE}
    found = []
    for members in grouped([(n, op.get_type_name() in MULTIPLYING) for n, op in ops.items()]):
        others = [name for name in ops if name not in members]
        one = _quantize(
            model, job, rows, preset=PRESETS[1], reach=REACHES[0], ignored=others, corrected=False
        )
        kinds = [ops[name].get_type_name() for name in members]
        first = next((i for i, kind in enumerate(kinds) if kind in MULTIPLYING), 0)
        found.append(
            Layer(
                name=members[first],
                op=kinds[first],
                members=tuple(members),
                why=_why_hard([ops[name] for name in members]),
                sqnr_db=worst_sqnr_db(wanted, answers(one, rows)),
            )
        )
    return Sensitivity(layers=tuple(sorted(found, key=lambda layer: layer.sqnr_db)))


def _quantize(
    model: Any,
    job: BuildJob,
    rows: CalibrationRows,
    *,
    preset: str,
    reach: str,
    ignored: Sequence[str],
    corrected: bool = True,
) -> Any:
    """Quantise a copy; names that are not in the model are ignored.

    Without `corrected` biases stay: those of other layers would blur what one layer does.
    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    ranges = RangeEstimatorParametersSet
    fix = OverflowFix.ENABLE if saturates(job) else OverflowFix.DISABLE
    return nncf.quantize(
        model.clone(),
        nncf.Dataset(rows),
        subset_size=len(rows),
        preset=nncf.QuantizationPreset(preset),
        target_device=nncf.TargetDevice.CPU,
        ignored_scope=nncf.IgnoredScope(names=list(ignored), validate=False) if ignored else None,
        advanced_parameters=AdvancedQuantizationParameters(
            overflow_fix=fix,
            disable_bias_correction=not corrected,
            activations_range_estimator_params=(
                ranges.MINMAX if reach == REACHES[0] else ranges.MEAN_MINMAX
            ),
        ),
    )


def _any_negative(model: Any) -> bool:
    """Return whether any activation is below zero: without, both presets are the same."""
    scaled = [op for op in model.get_ordered_ops() if op.get_type_name() == "FakeQuantize"]
    return any((op.input_value(1).get_node().get_data() < 0).any() for op in scaled)


def answers(model: Any, rows: Iterable[Arrays]) -> list[dict[str, Any]]:
    """Return what a model answers to batches, computed in float32."""
    import openvino

    config = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", config)
    found = []
    for row in rows:
        answer = compiled(row)
        found.append({str(i): answer[i].copy() for i in range(len(compiled.outputs))})
    return found


def _why_hard(ops: Sequence[Any]) -> str:
    """Return what is hard about a layer, in words."""
    kinds = {op.get_type_name() for op in ops}
    told = ["depthwise"] if "GroupConvolution" in kinds else []
    told += ["attention softmax input"] if kinds & {"Softmax", "SoftMax"} else []
    told += [words for kind, words in _SMOOTH.items() if kind in kinds]
    sources = {value.get_node().get_type_name() for op in ops for value in op.input_values()}
    told += ["first layer"] if "Parameter" in sources else []
    readers = (port.get_node() for op in ops for out in op.outputs() for port in
               out.get_target_inputs())  # fmt: skip
    told += ["last layer"] if any(node.get_type_name() == "Result" for node in readers) else []
    return ", ".join(dict.fromkeys(told)) or "adds the most noise"
