# SPDX-License-Identifier: Apache-2.0
"""scikit-learn classifiers and regressors, converted to ONNX and compared with scikit-learn.

Such files are pickles: reading one runs whatever code it holds, so it must be
trusted by name.
"""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight_edge.compile.parity import refuse_disagreement
from insight_edge.compile.source import SourceModel, source_from_onnx
from insight_edge.errors import ModelError

OPSETS = {"": 18, "ai.onnx.ml": 3}
INPUT = "X"
PARITY_ROWS = 256

Rows = NDArray[np.float32]


class SklearnImporter:
    """Reads `.joblib` and `.pkl` that the caller trusts."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is a pickle by its suffix."""
        return path.suffix.lower() in {".joblib", ".pkl", ".pickle"}

    def read(self, path: Path, *, trust_pickle: bool) -> SourceModel:
        """Return the estimator in ONNX: float32 features in, label and scores out.

        Raises:
            ModelError: not trusted, not a fitted classifier or regressor, saved by another
                release, or it converts to something that answers otherwise.
        """
        if not trust_pickle:
            raise ModelError(
                "a pickle runs code when it is read",
                hint="pass --trust-pickle if you made this file",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = _load(path)
            data = _convert(estimator)
            source = source_from_onnx(data, name=path.stem, importer="sklearn")
            rows = parity_rows(estimator)
            expected = _answers(estimator, rows, source.workload.outputs[-1].shape[-1])
            refuse_disagreement(data, {INPUT: rows}, expected, framework="scikit-learn")
        return source


def parity_rows(estimator: Any) -> Rows:
    """Return (n, features) rows over the range the model was fitted on, as far as it knows it.

    A scaler in front knows mean and spread. Without one the rows are normal at magnitudes from
    0.01 to 100.
    """
    features = estimator.n_features_in_
    rows = np.random.default_rng(0).normal(size=(PARITY_ROWS, features)).astype(np.float32)
    first = estimator[0] if hasattr(estimator, "steps") else None
    mean, spread = getattr(first, "mean_", None), getattr(first, "scale_", None)
    if mean is not None and spread is not None:
        return np.asarray(mean + 2 * spread * rows, np.float32)
    return rows * np.logspace(-2, 2, PARITY_ROWS, dtype=np.float32)[:, None]


def _load(path: Path) -> Any:
    import joblib
    from sklearn.base import BaseEstimator, is_classifier, is_regressor
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
    except Exception as error:
        raise ModelError(f"cannot be unpickled: {_one_line(error)}") from error
    known = isinstance(estimator, BaseEstimator)
    if not known or not (is_classifier(estimator) or is_regressor(estimator)):
        kind = type(estimator).__name__
        raise ModelError(f"holds a {kind}, not a classifier or a regressor")
    if not hasattr(estimator, "n_features_in_"):
        raise ModelError("not fitted", hint="fit it before saving it")
    return estimator


def _convert(estimator: Any) -> bytes:
    try:
        model = _converted(estimator)
    except Exception as error:
        raise ModelError(f"cannot be converted: {_one_line(error)}") from error
    data: bytes = model.SerializeToString()
    return data


def _converted(estimator: Any) -> Any:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.base import is_classifier

    types = [(INPUT, FloatTensorType([None, estimator.n_features_in_]))]
    convert = partial(to_onnx, estimator, initial_types=types, target_opset=OPSETS)
    try:
        # A ZipMap answers with a list of dictionaries, which no engine but one can.
        return convert(options={"zipmap": False} if is_classifier(estimator) else None)
    except NameError:  # this classifier's converter makes none, and knows no such option
        return convert()


def _answers(estimator: Any, rows: Rows, columns: int | str) -> list[NDArray[Any]]:
    """Return what the converted model is to answer: values, or labels and columns of scores."""
    from sklearn.base import is_classifier

    if not is_classifier(estimator):
        return [estimator.predict(rows).reshape(len(rows), -1)]
    score = getattr(estimator, "predict_proba", None) or estimator.decision_function
    scores = score(rows)
    if scores.ndim == 1:  # of the second of two classes
        scores = scores[:, None] if columns == 1 else np.stack([-scores, scores], axis=1)
    return [estimator.predict(rows), scores]


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
