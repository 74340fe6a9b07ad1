# SPDX-License-Identifier: Apache-2.0
"""XGBoost models as XGBoost saves them, converted to ONNX and compared with XGBoost.

Boosters of trees only. What the converter gets wrong is put in other words
first, and shown to be the same model by its margins.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from insight_edge.compile.importers import trees
from insight_edge.compile.sources.importing import convert_apart
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError

HEAD_BYTES = 4096

LOOKED_INTO = frozenset({".json", ".model", ".bst"})
"""Suffixes that others use as well."""

SAME_MARGIN = {"reg:logistic": "binary:logistic", "multi:softmax": "multi:softprob"}
"""Objectives of the same trees and the same margin; the converter knows the second only."""

RAW_MARGIN = ("rank:", "binary:logitraw")
"""Objectives whose answer is the margin itself, as that of a regression is."""


class XgboostImporter:
    """Reads `.ubj`, and `.json`, `.model` and `.bst` that XGBoost wrote."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is XGBoost's: all but `.ubj` is looked into, nothing loaded."""
        suffix = path.suffix.lower()
        return suffix == ".ubj" or (suffix in LOOKED_INTO and _is_learner(path))

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:  # noqa: ARG002 (no code)
        """Return the booster in ONNX: float32 features in, values or label and probabilities out.

        Raises:
            ModelError: damaged, not of trees, or it converts to something that answers otherwise.
            ToolchainMissingError: its environment is not installed.
        """
        return convert_apart(
            path,
            converter=f"{__name__}:convert",
            environment=trees.ENVIRONMENT,
            importer="xgboost",
            framework="XGBoost",
        )


def convert(path: Path, directory: Path, *, trust_pickle: bool) -> None:  # noqa: ARG001 (no code)
    """Convert a file; runs in a child process.

    Raises:
        ModelError: not a model of trees that XGBoost reads.
    """
    import xgboost
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    original = xgboost.Booster()
    try:
        # Of bytes it sees the format, of a path it goes by the suffix.
        original.load_model(bytearray(path.read_bytes()))
        original = _as_predicted(original)
        saved = json.loads(bytes(original.save_raw("json")))
    except (xgboost.core.XGBoostError, ValueError) as error:
        lines = str(error).strip().splitlines() or [""]
        raise ModelError(f"XGBoost cannot read it: {lines[-1]}") from error
    original.feature_names = original.feature_types = None
    learner = saved["learner"]
    learner["feature_names"] = learner["feature_types"] = []
    objective = _reword(learner)
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(saved).encode()))
    rows = trees.parity_rows(_thresholds(learner), booster.num_features())
    data = xgboost.DMatrix(rows)
    wanted, found = (b.predict(data, output_margin=True) for b in (original, booster))
    if not np.allclose(found, wanted, rtol=1e-5, atol=1e-6):
        raise ModelError("a booster in its words answers otherwise than the one in the file")
    types = [(trees.INPUT, FloatTensorType([None, booster.num_features()]))]
    model = convert_xgboost(booster, initial_types=types, target_opset=trees.ASKED_OPSET)
    scores = booster.predict(data)
    if objective.startswith(("binary:logistic", "multi:")):
        rows, answers = trees.labelled(rows, scores)
    else:
        answers = [scores.reshape(len(rows), -1)]
    trees.write_conversion(directory, model, rows, answers)


def _as_predicted(booster: Any) -> Any:
    """Return the trees that answer: scikit-learn's wrapper leaves out those after the best.

    Which one it was is in the file of any booster that stopped early; that the wrapper saved it
    is there too.
    """
    stopped = booster.attr("best_iteration")
    if stopped is None or booster.attr("scikit_learn") is None:
        return booster
    best = int(stopped)
    return booster[: best + 1] if best + 1 < booster.num_boosted_rounds() else booster


def _is_learner(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    binary = head.startswith(b"{L") and b"\x07learner{" in head
    return binary or (head.lstrip().startswith(b"{") and b'"learner"' in head)


def _reword(learner: dict[str, Any]) -> str:
    """Put a saved learner in words that the converter knows; return its objective.

    Raises:
        ModelError: it is not of trees, or splits by categories.
    """
    booster = learner["gradient_booster"]
    if booster["name"] == "dart":
        _scale_leaves(booster["gbtree"]["model"], booster["weight_drop"])
        booster = learner["gradient_booster"] = {**booster["gbtree"], "name": "gbtree"}
    if booster["name"] != "gbtree":
        raise ModelError(
            f"a booster of the kind {booster['name']} is not of trees",
            hint="train it with booster='gbtree', or a linear model with scikit-learn",
        )
    if any(any(tree.get("split_type", ())) for tree in booster["model"]["trees"]):
        raise ModelError(
            "it splits by categories, which the converter does not carry over",
            hint="encode categories as columns of 0 and 1 before training",
        )
    objective: str = learner["objective"]["name"]
    name = SAME_MARGIN.get(objective, objective)
    name = "reg:squarederror" if name.startswith(RAW_MARGIN) else name
    if name == "reg:squarederror" != objective:
        learner["objective"] = {"reg_loss_param": {"scale_pos_weight": "1"}, "name": name}
    learner["objective"]["name"] = name
    return name


def _scale_leaves(model: dict[str, Any], weights: list[float]) -> None:
    """Multiply the leaves of every tree by its weight, which dart keeps apart."""
    for tree, weight in zip(model["trees"], weights, strict=True):
        for node, left in enumerate(tree["left_children"]):
            if left == -1:
                tree["split_conditions"][node] *= weight
                tree["base_weights"][node] *= weight


def _splits(learner: dict[str, Any]) -> Iterator[tuple[int, float]]:
    for tree in learner["gradient_booster"]["model"]["trees"]:
        lists = (tree["left_children"], tree["split_indices"], tree["split_conditions"])
        for left, feature, threshold in zip(*lists, strict=True):
            if left != -1:
                yield feature, threshold


def _thresholds(learner: dict[str, Any]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for feature, threshold in _splits(learner):
        found.setdefault(feature, []).append(threshold)
    return found
