# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pytest
import sklearn
from sklearn.cluster import KMeans
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from insight_edge.compile.importers.sklearn import parity_rows
from insight_edge.compile.reading import read_source
from insight_edge.errors import ModelError

pytestmark = pytest.mark.slow

ROWS = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
CLASSES = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 1)
FAR = ROWS * 3 + 1e4


def saved(estimator: Any, path: Path) -> Path:
    joblib.dump(estimator, path / "m.joblib")
    return path / "m.joblib"


def refused(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_source(path, trust_pickle=True)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(5, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        LinearSVC(random_state=0),
    ],
)
def test_classifier_becomes_labels_and_scores(estimator: Any, tmp_path: Path) -> None:
    estimator.fit(ROWS, CLASSES)
    source = read_source(saved(estimator, tmp_path), trust_pickle=True)
    workload = source.workload
    assert (source.importer, workload.opset) == ("sklearn", 18)
    assert [(s.name, s.dtype, s.shape) for s in workload.inputs] == [("X", "float32", ("batch", 5))]
    assert [(s.name, s.dtype, s.shape[1:]) for s in workload.outputs] == [
        ("label", "int64", ()),
        ("probabilities", "float32", (3,)),
    ]
    session = onnxruntime.InferenceSession(source.data, providers=["CPUExecutionProvider"])
    labels, _ = session.run(None, {"X": ROWS})
    np.testing.assert_array_equal(labels, estimator.predict(ROWS))


@pytest.mark.parametrize(
    "estimator", [LinearRegression(), GradientBoostingRegressor(n_estimators=5, random_state=0)]
)
def test_regressor_becomes_values(estimator: Any, tmp_path: Path) -> None:
    estimator.fit(ROWS, ROWS @ np.arange(5))
    source = read_source(saved(estimator, tmp_path), trust_pickle=True)
    assert [s.shape for s in source.workload.outputs] == [("batch", 1)]


def test_pickle_is_refused_unless_trusted(tmp_path: Path) -> None:
    path = saved(DecisionTreeClassifier().fit(ROWS, CLASSES), tmp_path)
    with pytest.raises(ModelError, match="a pickle runs code") as caught:
        read_source(path)
    assert "--trust-pickle" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"weights": [1]}, "holds a dict, not a classifier or a regressor"),
        (KMeans(2), "holds a KMeans, not a classifier or a regressor"),
        (LogisticRegression(), "not fitted"),
    ],
)
def test_what_is_no_fitted_predictor_is_refused(held: Any, expected: str, tmp_path: Path) -> None:
    assert str(refused(saved(held, tmp_path))).startswith(f"m.joblib: {expected}")


def test_garbage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"garbage")
    assert str(refused(tmp_path / "m.pkl")).startswith("m.pkl: cannot be unpickled")


def test_names_of_classes_are_refused_because_outputs_are_numbers(tmp_path: Path) -> None:
    names = np.array(["low", "mid", "high"])[CLASSES]
    error = refused(saved(DecisionTreeClassifier().fit(ROWS, names), tmp_path))
    assert "output 'label' holds strings" in str(error)


def test_estimator_of_another_release_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = DecisionTreeClassifier().fit(ROWS, CLASSES)
    with monkeypatch.context() as older:
        older.setattr("sklearn.base.__version__", "1.2.3")
        path = saved(estimator, tmp_path)
    assert f"saved by scikit-learn 1.2.3, this is {sklearn.__version__}" in str(refused(path))


def test_conversion_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    estimator = LogisticRegression().fit(ROWS, CLASSES)
    estimator.coef_ = estimator.coef_.copy()
    estimator.predict_proba = Doubled(estimator)
    assert "differs from scikit-learn" in str(refused(saved(estimator, tmp_path)))


class Doubled:
    """Answers as an estimator with doubled weights would."""

    def __init__(self, estimator: LogisticRegression) -> None:
        self._coef, self._intercept = estimator.coef_ * 2, estimator.intercept_

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        powers = np.exp(rows @ self._coef.T + self._intercept)
        shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return shares


def test_parity_rows_lie_where_a_scaler_says_the_data_was() -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(FAR, CLASSES)
    rows = parity_rows(estimator)
    assert rows.shape == (256, 5)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.mean(axis=0), FAR.mean(axis=0), atol=2)


def test_parity_rows_span_magnitudes_where_nothing_is_known() -> None:
    rows = np.abs(parity_rows(LogisticRegression().fit(ROWS, CLASSES)))
    assert rows[:16].max() < 0.1
    assert rows[-16:].max() > 100
