# SPDX-License-Identifier: Apache-2.0
"""How a `.tflite` file's tensors differ from its model's, found by asking both.

The file is run by the device's own engine. Names come from its signature, axes
from its answers, and whether it takes several rows at once from whether it then
answers as it does row by row. A file that answers otherwise than the model is
none.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.backends.tflite_names import came_as_tflite, converted_names
from insight_edge.compile.graph.reference import Reference
from insight_edge.compile.job import BuildJob
from insight_edge.compile.quantize.calibration import calibration_feeds
from insight_edge.documents.tensors import TensorSpec
from insight_edge.errors import BuildFailedError
from insight_edge.runtime.engines.tflite import ROWS, all_names, open_file, signature_names

CHANNELS_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}
"""By rank: the only order of axes that the converter leaves outputs in."""

SEVERAL = 3
"""Rows asked at once to see whether the file takes several."""

TOLERANCE = 1e-3
"""Of the largest element: rounding is a hundred times less, a wrong graph far more."""

Arrays = dict[str, NDArray[Any]]
Specs = tuple[TensorSpec, ...]


def settle(job: BuildJob, file: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the settings with which the engine answers for a file as the model does.

    Args:
        job: whose model it was made from.
        file: in any precision.
        known: the settings of the FP32 file, where this is one made from it: its answers are
            then compared with its own alone, row by row.

    Raises:
        BuildFailedError: it does not load, or does not answer as the model does.
    """
    import onnx

    from insight_edge.compile.graph.shapes import specs_of

    inputs, outputs = specs_of(onnx.load(job.model, load_external_data=False))
    feed, wanted = _asked(job, inputs, outputs, answered=known is None)
    try:
        settings = _named(job, file, inputs, outputs)
        if known is None:
            settings |= _axes(file, inputs, outputs, settings, feed, wanted)
        else:
            settings |= {key: axes for key, axes in known.items() if "_axes." in key}
        if isinstance(_batch(inputs), str):
            settings |= _rows(file, inputs, outputs, settings, feed)
        found = _ask(file, inputs, outputs, settings, feed)
    except BuildFailedError:
        raise
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BuildFailedError(f"the converted file does not run: {line}") from error
    if known is None:
        _refuse_other(wanted, found)
    return settings


def _named(job: BuildJob, file: Path, inputs: Specs, outputs: Specs) -> dict[str, str]:
    """Return what the file calls the tensors: a converted one has them in its signature."""
    called = {spec.name: spec.name for spec in (*inputs, *outputs)}
    sides = all_names(file)
    if not came_as_tflite(job):
        own = [spec.name for spec in inputs], [spec.name for spec in outputs]
        called = converted_names(file, *own)
        sides = signature_names(file)
    settings: dict[str, str] = {}
    for side, specs, names in zip(("input", "output"), (inputs, outputs), sides, strict=True):
        if {called[spec.name] for spec in specs} - names.keys():
            raise BuildFailedError(f"the file has other {side}s: {', '.join(sorted(names))}")
        settings |= {f"{side}.{spec.name}": names[called[spec.name]] for spec in specs}
    return settings


def _feed(job: BuildJob, inputs: Specs) -> Arrays:
    """Return a few rows: real ones where the job has them, random ones where not."""
    batch = _batch(inputs)
    count = batch if isinstance(batch, int) else SEVERAL
    if job.calibration is not None:
        parts = list(islice(calibration_feeds(job), 1 if isinstance(batch, int) else SEVERAL))
        feed = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if len(feed[inputs[0].name]) == count:
            return feed
    random = np.random.default_rng(0)
    return {spec.name: _random(random, spec, count) for spec in inputs}


def _batch(inputs: Specs) -> int | str:
    """Return the first dimension of the first input; a number by itself counts as one row."""
    return inputs[0].shape[0] if inputs[0].shape else 1


def _asked(
    job: BuildJob, inputs: Specs, outputs: Specs, *, answered: bool
) -> tuple[Arrays, Arrays]:
    """Return rows and what the model answers to them.

    Integers are 1 where it fails on others, as what divides does on 0, or answers nothing.

    Raises:
        BuildFailedError: it fails on these, too.
    """
    feed = _feed(job, inputs)
    if not answered:
        return feed, {}
    model = Path(job.model)
    ones = {n: a if a.dtype.kind == "f" else np.ones_like(a) for n, a in feed.items()}
    try:
        wanted = _model_answers(model, outputs, feed)
    except BuildFailedError:
        return ones, _model_answers(model, outputs, ones)
    if all(answer.size for answer in wanted.values()):
        return feed, wanted
    return ones, _model_answers(model, outputs, ones)


def _random(random: np.random.Generator, spec: TensorSpec, count: int) -> NDArray[Any]:
    """Return numbers that any model takes; what counts things stays at 0 or 1.

    Masks leave something: what attends to nothing has no answer, and kernels give any.
    """
    shape = tuple(count if isinstance(size, str) else size for size in spec.shape)
    if np.dtype(spec.dtype).kind == "f":
        return random.normal(size=shape).astype(spec.dtype)
    numbers = random.integers(0, 2, shape).astype(spec.dtype)
    if numbers.dtype == np.bool_ and numbers.ndim:
        numbers[..., :1] = True
    return numbers


def _model_answers(model: Path, outputs: Specs, feed: Arrays) -> Arrays:
    reference = Reference(model, as_written=True)
    try:
        return reference.answers(feed, [spec.name for spec in outputs])
    except Exception as error:
        line = str(error).strip().splitlines()[0]
        raise BuildFailedError(f"the model does not run on its rows: {line}") from error


def _ask(
    file: Path, inputs: Specs, outputs: Specs, settings: Mapping[str, str], feed: Arrays
) -> Arrays:
    """Return the answers of a fresh session, the second time it is asked: state must not stay."""
    session = open_file(file, inputs, outputs, settings, threads=1)
    session.infer(feed)
    return session.infer(feed)


def _axes(
    file: Path,
    inputs: Specs,
    outputs: Specs,
    settings: Mapping[str, str],
    feed: Arrays,
    wanted: Arrays,
) -> dict[str, str]:
    """Return the axes of the outputs that come channels last and not as the model has them."""
    one_by_one = dict(settings)
    if isinstance(_batch(inputs), str):
        one_by_one[ROWS] = "1"
    raw = _ask(file, inputs, outputs, one_by_one, feed)
    found = {}
    for name, answer in wanted.items():
        axes = CHANNELS_LAST.get(answer.ndim)
        if axes is None or _error(answer, raw[name]) <= TOLERANCE:
            continue
        if _error(answer.transpose(axes), raw[name]) <= TOLERANCE:
            found[f"output_axes.{name}"] = ",".join(map(str, axes))
    return found


def _rows(
    file: Path, inputs: Specs, outputs: Specs, settings: Mapping[str, str], feed: Arrays
) -> dict[str, str]:
    """Return nothing where several rows at once are answered as one by one, else `rows: 1`."""
    singly = {ROWS: "1"}
    wanted = _ask(file, inputs, outputs, {**settings, **singly}, feed)
    try:
        found = _ask(file, inputs, outputs, settings, feed)
    except Exception:  # noqa: BLE001 (whatever it raises, it does not take several)
        return singly
    same = all(_error(wanted[name], found[name]) <= TOLERANCE for name in wanted)
    return {} if same else singly


def _refuse_other(wanted: Arrays, found: Arrays) -> None:
    for name, answer in wanted.items():
        error = _error(answer, found[name])
        if not error <= TOLERANCE:
            raise BuildFailedError(
                f"output '{name}' of the converted file differs from the model "
                f"by {error:.1e} of its largest element"
            )


def _error(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """Return the largest difference in units of the largest element, infinite for other shapes."""
    if wanted.shape != found.shape:
        return float("inf")
    left, right = wanted.astype(np.float64), found.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    difference = np.where(same, 0.0, np.nan_to_num(difference, nan=np.inf))
    largest = np.abs(left[np.isfinite(left)]).max(initial=0.0)
    return float(difference.max(initial=0.0) / (largest or 1.0))
