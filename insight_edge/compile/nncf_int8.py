# SPDX-License-Identifier: Apache-2.0
"""INT8 of OpenVINO models by NNCF: static, of all but some layers, of one alone, or of weights.

No `model_type` is given: what NNCF does by itself for transformers (SmoothQuant)
ruined the answers of one without a word. The preset is chosen by what it does to
the answers on calibration rows.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from insight_edge.compile.calibration import Arrays, CalibrationRows
from insight_edge.compile.int8 import saturates
from insight_edge.compile.job import BuildJob
from insight_edge.compile.sensitivity import MAX_ROWS, Layer, Sensitivity, grouped, worst_sqnr_db

PRESETS = ("performance", "mixed")
"""Symmetric activations, which are fastest; asymmetric ones where numbers are negative."""

WORTH_DB = 1.0
"""The slower preset has to keep so much more of the answers."""

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
    found = {p: _quantize(model, job, rows, preset=p, ignored=left_out) for p in PRESETS}
    kept_db = {p: worst_sqnr_db(wanted, answers(one, few)) for p, one in found.items()}
    fast, exact = PRESETS
    preset = exact if kept_db[exact] > kept_db[fast] + WORTH_DB else fast
    told = ", ".join(f"{name} {ratio_db:.1f} dB" for name, ratio_db in kept_db.items())
    print(f"preset {preset}: {told}")  # noqa: T201 (into the log of the build)
    return found[preset]


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
        one = _quantize(model, job, rows, preset=PRESETS[1], ignored=others, corrected=False)
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
    ignored: Sequence[str],
    corrected: bool = True,
) -> Any:
    """Quantise a copy; names that are not in the model are ignored.

    Without `corrected` biases stay: those of other layers would blur what one layer does.
    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    fix = OverflowFix.ENABLE if saturates(job) else OverflowFix.DISABLE
    return nncf.quantize(
        model.clone(),
        nncf.Dataset(rows),
        subset_size=len(rows),
        preset=nncf.QuantizationPreset(preset),
        target_device=nncf.TargetDevice.CPU,
        ignored_scope=nncf.IgnoredScope(names=list(ignored), validate=False) if ignored else None,
        advanced_parameters=AdvancedQuantizationParameters(
            overflow_fix=fix, disable_bias_correction=not corrected
        ),
    )


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
