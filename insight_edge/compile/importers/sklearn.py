# SPDX-License-Identifier: Apache-2.0
"""scikit-learn estimators that predict or transform, converted to ONNX and compared with it.

Such files are pickles: reading one runs whatever code it holds, so it must be
trusted by name.
"""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.graph.parity import refuse_disagreement
from insight_edge.compile.graph.reference import answers
from insight_edge.compile.importers.sklearn_conversion import INPUT, by_place, converted, settle
from insight_edge.compile.importers.sklearn_rows import asked, parity_rows
from insight_edge.compile.sources.source import SourceModel, source_from_onnx
from insight_edge.errors import ModelError

Array = NDArray[Any]


class SklearnImporter:
    """Reads `.joblib` and `.pkl` that the caller trusts."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is a pickle by its suffix."""
        return path.suffix.lower() in {".joblib", ".pkl", ".pickle"}

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:
        """Return the estimator in ONNX: float32 features in; label and scores, or values, out.

        Raises:
            ModelError: not trusted, nothing fitted that predicts or transforms, saved by another
                release, or it converts to something that answers otherwise.
        """
        if not trust_pickle:
            raise ModelError(
                "a pickle runs code when it is read",
                hint="pass --trust-pickle if you made this file",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = by_place(_load(path))
            rows = parity_rows(estimator)
            model, found = _answered(converted(estimator), {INPUT: rows})
            rows, expected = asked(estimator, rows, [*found.values()][-1].shape[-1])
            classes = getattr(estimator, "classes_", ())
            settle(model, found, outputs=len(expected), classes=classes)
            data = model.SerializeToString()
            refuse_disagreement(data, {INPUT: rows}, expected, framework="scikit-learn")
        source = source_from_onnx(data, name=path.stem, importer="sklearn")
        return _introduced(source, estimator)


def _answered(model: Any, inputs: Mapping[str, Array]) -> tuple[Any, dict[str, Array]]:
    """Return a conversion in standard operators, or as it is where these will not do, and answers.

    Where it cannot answer at all, what is wrong with it is better known.
    """
    from insight_edge.compile.importers.sklearn_plain import plain

    data = model.SerializeToString()
    try:
        expected = answers(data, inputs)
    except Exception:
        source_from_onnx(data, name="", importer="sklearn")
        raise
    with suppress(Exception):  # an engine has an exception for each of its states
        simpler = plain(model)
        found = answers(simpler.SerializeToString(), inputs)
        if all(_same(found[name], expected[name]) for name in expected):
            return simpler, found
    return model, expected


def _same(found: Array, expected: Array) -> bool:
    if found.dtype.kind != "f":
        return np.array_equal(found, expected)
    return found.shape == expected.shape and np.allclose(
        found, expected, rtol=1e-5, atol=1e-6, equal_nan=True
    )


def _introduced(source: SourceModel, estimator: Any) -> SourceModel:
    """Return the source with its task, and the names of its classes where they have any."""
    described = source.described
    names = np.asarray(getattr(estimator, "classes_", ()))
    named = names.dtype.kind not in "iufb"
    model = msgspec.structs.replace(
        described.model,
        task=_task(estimator),
        classes=tuple(map(str, names)) if named else (),
    )
    return replace(source, description=msgspec.structs.replace(described, model=model))


def _load(path: Path) -> Any:
    import joblib
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import InconsistentVersionWarning

    warnings.simplefilter("error", InconsistentVersionWarning)
    try:
        estimator = joblib.load(path)
    except InconsistentVersionWarning as error:
        raise ModelError(
            f"saved by scikit-learn {error.original_sklearn_version}, "
            f"this is {error.current_sklearn_version}",
            hint="read it with the release that saved it, or save it again",
        ) from error
    except ModuleNotFoundError as error:
        raise ModelError(
            f"cannot be unpickled: it needs {error.name}, which is not read from pickles",
            hint=_saved_otherwise(str(error.name)),
        ) from error
    except Exception as error:
        raise ModelError(f"cannot be unpickled: {_one_line(error)}") from error
    if not isinstance(estimator, BaseEstimator) or _task(estimator) is None:
        kind = type(estimator).__name__
        raise ModelError(
            f"holds a {kind}, which neither predicts nor transforms as scikit-learn does"
        )
    if not hasattr(estimator, "n_features_in_"):
        raise ModelError("not fitted", hint="fit it before saving it")
    if isinstance(getattr(estimator, "classes_", None), list):
        raise ModelError(
            "it predicts several labels a row, whose scores are no one tensor",
            hint="save one classifier for each label",
        )
    return estimator


def _task(estimator: Any) -> str | None:
    """Return the task of an estimator, None for what answers nothing about new rows."""
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    kinds = {
        "tabular-classification": is_classifier,
        "tabular-regression": is_regressor,
        "anomaly-detection": is_outlier_detector,
        "clustering": is_clusterer,
    }
    if hasattr(estimator, "predict"):
        return next((task for task, met in kinds.items() if met(estimator)), None)
    return "feature-extraction" if hasattr(estimator, "transform") else None


def _saved_otherwise(package: str) -> str:
    """Return how to save what is read here by its own file."""
    return {
        "xgboost": "save it by model.save_model('model.ubj')",
        "lightgbm": "save it by model.booster_.save_model('model.txt')",
    }.get(package.partition(".")[0], f"save it without {package}, or export it to ONNX")


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
