# SPDX-License-Identifier: Apache-2.0
"""LightGBM models as LightGBM saves them, converted to ONNX and compared with LightGBM.

LightGBM compares features with thresholds in float64, ONNX in float32. Every
threshold is first rounded down to a float32: no float32 feature can tell the
two apart, and the conversion is then exact, at ties too.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from insight_edge.compile.importers import trees
from insight_edge.compile.sources.importing import convert_apart
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError

HEAD = b"tree\n"
SUFFIXES = frozenset({".txt", ".model", ".lgb", ".lgbm", ".json", ".bin"})
"""What LightGBM's text is saved as; it goes by no suffix."""

ZERO = 1e-34
"""LightGBM takes nearer values for 0 before it looks at any threshold; no sensor gives one."""

DEFAULT_LEFT = 2
MISSING_KINDS = 12
"""Bits of a decision: where a missing value goes, and what counts as one (0 where nothing does)."""

SAME_ANSWER = {"fair": "regression", "mape": "regression", "cross_entropy": "binary sigmoid:1"}
"""Objectives that the converter does not know, and ones that answer alike."""

_OBJECTIVE = re.compile(r"^objective=(\S+)$", re.MULTILINE)
_ASKED_FOR = re.compile(r"^\[objective: (\S+)\]$", re.MULTILINE)
_STEEPNESS = re.compile(r"^objective=binary sigmoid:(\S+)$", re.MULTILINE)
_SPLITS = re.compile(r"^threshold=(.*)\ndecision_type=(.*)$", re.MULTILINE)
_LEAVES = re.compile(r"^leaf_value=(.*)$", re.MULTILINE)
_AVERAGED = re.compile(r"^average_output\n", re.MULTILINE)
_SIZES = re.compile(r"^tree_sizes=.*\n", re.MULTILINE)


class LightgbmImporter:
    """Reads `.txt`, whatever else it may be called, that LightGBM wrote."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is LightGBM's: it is looked into, nothing is loaded."""
        if path.suffix.lower() not in SUFFIXES:
            return False
        try:
            with path.open("rb") as file:
                return file.read(len(HEAD)) == HEAD
        except OSError:
            return False

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:  # noqa: ARG002 (no code)
        """Return the booster in ONNX: float32 features in, values or label and probabilities out.

        Raises:
            ModelError: damaged, or it converts to something that answers otherwise.
            ToolchainMissingError: its environment is not installed.
        """
        return convert_apart(
            path,
            converter=f"{__name__}:convert",
            environment=trees.ENVIRONMENT,
            importer="lightgbm",
            framework="LightGBM",
        )


def convert(path: Path, directory: Path, *, trust_pickle: bool) -> None:  # noqa: ARG001 (no code)
    """Convert a file; runs in a child process.

    Raises:
        ModelError: not a model that LightGBM reads, or one that splits by categories or takes
            zeros for missing values.
    """
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    try:
        text = path.read_text()
        original = lightgbm.Booster(model_str=text)
        booster = lightgbm.Booster(model_str=reworded(text, original.current_iteration()))
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        lines = str(error).strip().splitlines() or [""]
        raise ModelError(f"LightGBM cannot read it: {lines[-1]}") from error
    dumped = booster.dump_model()
    rows = trees.parity_rows(_thresholds(dumped), booster.num_feature())
    rows[np.abs(rows) < ZERO] = 0
    types = [(trees.INPUT, FloatTensorType([None, booster.num_feature()]))]
    model = convert_lightgbm(
        booster, initial_types=types, target_opset=trees.ASKED_OPSET, zipmap=False
    )
    scores = np.asarray(original.predict(rows))
    if dumped["objective"].startswith(("binary", "multiclass")):
        rows, answers = trees.labelled(rows, scores)
    else:
        answers = [scores.reshape(len(rows), -1).astype(np.float32)]
    trees.write_conversion(directory, model, rows, answers)


def reworded(text: str, iterations: int) -> str:
    """Return the same model in words that the converter knows.

    Thresholds are float32, a mean of trees is a sum, and a probability falls as it does by default.

    Args:
        text: as LightGBM saves it.
        iterations: of which a random forest takes the mean.
    """
    text = _SPLITS.sub(_reworded_splits, text)
    text = _SIZES.sub("", text)  # of the lines as they were
    text = _OBJECTIVE.sub(lambda line: f"objective={SAME_ANSWER.get(line[1], line[1])}", text)
    text = _ASKED_FOR.sub(lambda line: f"[objective: {_first_word(line[1])}]", text)
    steepness = _STEEPNESS.search(text)
    times = float(steepness[1]) if steepness else 1.0
    text = _STEEPNESS.sub("objective=binary sigmoid:1", text)
    parts = iterations if _AVERAGED.search(text) else 1
    text = _AVERAGED.sub("", text)
    if (times, parts) != (1.0, 1):
        text = _LEAVES.sub(
            lambda line: "leaf_value=" + _each(line[1], lambda value: value * times / parts), text
        )
    return text


def _first_word(objective: str) -> str:
    return SAME_ANSWER.get(objective, objective).split()[0]


def _reworded_splits(lines: re.Match[str]) -> str:
    """Return the two lines of a tree's splits.

    Where no value counts as missing LightGBM takes NaN for 0; the converter sends it where a
    missing value would go, so that is where 0 goes.
    """
    decisions = []
    for threshold, written in zip(lines[1].split(), lines[2].split(), strict=True):
        decision = int(written)
        of_zero = decision & ~DEFAULT_LEFT | DEFAULT_LEFT * (float(threshold) >= 0)
        decisions.append(str(decision if decision & MISSING_KINDS else of_zero))
    thresholds = _each(lines[1], _rounded_down)
    return f"threshold={thresholds}\ndecision_type={' '.join(decisions)}"


def _each(numbers: str, change: Any) -> str:
    return " ".join(repr(float(change(float(number)))) for number in numbers.split())


def _rounded_down(value: float) -> float:
    """Return the largest float32 that is not larger."""
    nearest = np.float32(value)
    if float(nearest) > value:
        nearest = np.nextafter(nearest, np.float32(-np.inf))
    return float(nearest)


def _splits(node: dict[str, Any]) -> Iterator[tuple[int, float]]:
    """Yield what a tree asks; a tree that deep branches too far to be walked by recursion."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if "split_feature" not in each:
            continue
        if each["decision_type"] != "<=":
            raise ModelError(
                "it splits by categories, which the converter does not carry over",
                hint="encode categories as columns of 0 and 1 before training",
            )
        if each["missing_type"] == "Zero":
            raise ModelError(
                "it takes zeros for missing values, which ONNX cannot say",
                hint="train it with zero_as_missing=false",
            )
        yield each["split_feature"], each["threshold"]
        waiting += (each["left_child"], each["right_child"])


def _thresholds(dumped: dict[str, Any]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for tree in dumped["tree_info"]:
        for feature, threshold in _splits(tree["tree_structure"]):
            found.setdefault(feature, []).append(threshold)
    return found
