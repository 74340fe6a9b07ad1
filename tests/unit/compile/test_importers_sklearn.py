# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.multiclass import OneVsOneClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from insight_edge.compile.importers.sklearn_rows import parity_rows
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError

pytestmark = pytest.mark.slow

ROWS = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
CLASSES = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 1)
FAR = ROWS * 3 + 1e4


def saved(estimator: Any, path: Path) -> Path:
    joblib.dump(estimator, path / "m.joblib")
    return path / "m.joblib"


def answered(data: bytes, rows: np.ndarray = ROWS) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    answers: list[np.ndarray] = session.run(None, {"X": rows})
    return answers


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
        ({"weights": [1]}, "holds a dict, which neither predicts nor transforms"),
        (DBSCAN(), "holds a DBSCAN, which neither predicts nor transforms"),
        (LogisticRegression(), "not fitted"),
        (RandomForestClassifier(2).fit(ROWS, np.c_[CLASSES, CLASSES]), "it predicts several"),
        (make_pipeline(OneHotEncoder()).fit([["a"], ["b"]]), "OneHotEncoder encodes text"),
    ],
)
def test_what_is_no_fitted_predictor_is_refused(held: Any, expected: str, tmp_path: Path) -> None:
    assert str(refused(saved(held, tmp_path))).startswith(f"m.joblib: {expected}")


def test_garbage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"garbage")
    assert str(refused(tmp_path / "m.pkl")).startswith("m.pkl: cannot be unpickled")


@pytest.mark.parametrize(
    "estimator", [DecisionTreeClassifier(), make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_classes_with_names_become_places_among_them(estimator: Any, tmp_path: Path) -> None:
    names = np.array(["low", "mid", "high"])[CLASSES]
    source = read_source(saved(estimator.fit(ROWS, names), tmp_path), trust_pickle=True)
    assert source.described.model.classes == ("high", "low", "mid")
    labels = answered(source.data)[0]
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(np.array(source.described.model.classes)[labels],
                                  estimator.predict(ROWS))  # fmt: skip


@pytest.mark.parametrize(
    ("estimator", "task", "shapes"),
    [
        (IsolationForest(n_estimators=5, random_state=0), "anomaly-detection", [(), (1,)]),
        (KMeans(3, n_init=1, random_state=0), "clustering", [(), (3,)]),
        (make_pipeline(StandardScaler(), PCA(2)), "feature-extraction", [(2,)]),
    ],
)
def test_estimator_without_targets_is_taken(
    estimator: Any, task: str, shapes: list[tuple[int, ...]], tmp_path: Path
) -> None:
    source = read_source(saved(estimator.fit(ROWS), tmp_path), trust_pickle=True)
    assert source.described.model.task == task
    assert [spec.shape for spec in source.workload.outputs] == [("batch", *s) for s in shapes]
    ask = estimator.predict if len(shapes) > 1 else estimator.transform
    np.testing.assert_allclose(answered(source.data)[0], ask(ROWS), atol=1e-4)


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
        make_pipeline(SimpleImputer(), LogisticRegression()),
    ],
)
def test_missing_values_are_carried_over(estimator: Any, tmp_path: Path) -> None:
    rows = np.where(np.random.default_rng(1).random(ROWS.shape) < 0.1, np.nan, ROWS)
    source = read_source(saved(estimator.fit(rows, CLASSES), tmp_path), trust_pickle=True)
    assert np.isnan(parity_rows(estimator)).any()
    labels = answered(source.data, rows.astype(np.float32))[0]
    np.testing.assert_array_equal(labels, estimator.predict(rows))


@pytest.mark.parametrize(
    ("estimator", "outputs"),
    [
        (VotingClassifier([("a", DecisionTreeClassifier()), ("b", LogisticRegression())]), 1),
        (QuadraticDiscriminantAnalysis(), 2),
        (OneVsOneClassifier(LinearSVC()), 2),
        (CalibratedClassifierCV(LinearSVC(), cv=2), 2),
    ],
)
def test_label_is_one_number_a_row(estimator: Any, outputs: int, tmp_path: Path) -> None:
    source = read_source(saved(estimator.fit(ROWS, CLASSES), tmp_path), trust_pickle=True)
    assert len(source.workload.outputs) == outputs
    assert source.workload.outputs[0].shape == ("batch",)
    np.testing.assert_array_equal(answered(source.data)[0], estimator.predict(ROWS))


def test_several_values_a_row_are_declared(tmp_path: Path) -> None:
    estimator = RandomForestRegressor(3, random_state=0).fit(ROWS, ROWS[:, :2])
    source = read_source(saved(estimator, tmp_path), trust_pickle=True)
    assert source.workload.outputs[0].shape == ("batch", 2)


def test_rows_beyond_what_float32_holds_are_not_compared(tmp_path: Path) -> None:
    estimator = PoissonRegressor(alpha=0).fit(ROWS, np.exp(2 * ROWS[:, 0]))
    read_source(saved(estimator, tmp_path), trust_pickle=True)


def test_columns_chosen_by_name_are_chosen_by_place(tmp_path: Path) -> None:
    chosen = ColumnTransformer([("s", StandardScaler(), [3]), ("k", "passthrough", [1])])
    estimator = make_pipeline(chosen, LogisticRegression()).fit(ROWS, CLASSES)
    expected = estimator.predict(ROWS)
    # As fitting on a table would have left it.
    chosen.feature_names_in_ = np.array(["a", "b", "c", "d", "e"], object)
    chosen.transformers_ = [(n, t, [f"{'abcde'[c]}" for c in cs])
                            for n, t, cs in chosen.transformers_ if n in "sk"]  # fmt: skip
    source = read_source(saved(estimator, tmp_path), trust_pickle=True)
    np.testing.assert_array_equal(answered(source.data)[0], expected)


def test_network_behind_a_scaler_is_of_standard_operators(tmp_path: Path) -> None:
    chosen = ColumnTransformer([("s", StandardScaler(), [3, 0]), ("k", "passthrough", [1])])
    network = MLPClassifier((8,), max_iter=500, tol=1e-2, random_state=0)
    estimator = make_pipeline(chosen, network).fit(ROWS, CLASSES * 3)
    source = read_source(saved(estimator, tmp_path), trust_pickle=True)
    assert_standard(source)
    np.testing.assert_array_equal(answered(source.data)[0], estimator.predict(ROWS))


def test_linear_regression_is_of_standard_operators(tmp_path: Path) -> None:
    values = ROWS[:, :2] * 3 + ROWS[:, 2:4]
    estimator = make_pipeline(StandardScaler(), LinearRegression()).fit(ROWS, values)
    source = read_source(saved(estimator, tmp_path), trust_pickle=True)
    assert_standard(source)
    np.testing.assert_allclose(answered(source.data)[0], values, atol=1e-4)


def assert_standard(source: SourceModel) -> None:
    assert not any("ai.onnx.ml" in one.op for one in source.workload.operations)


def test_encoder_is_asked_for_categories_that_it_knows() -> None:
    rows = np.c_[ROWS[:, :1], CLASSES * 10]
    encoded = ColumnTransformer([("s", StandardScaler(), [0]), ("o", OneHotEncoder(), [1])])
    estimator = make_pipeline(encoded, LogisticRegression()).fit(rows, CLASSES)
    assert set(parity_rows(estimator)[:, 1]) == {0, 10, 20}


def test_pickle_of_another_package_says_how_to_save_it(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"cxgboost.sklearn\nXGBClassifier\n.")
    error = refused(tmp_path / "m.pkl")
    assert "it needs xgboost" in str(error)
    assert "save_model" in str(error.hint)


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


READ = """
import sys
from pathlib import Path
from insight_edge.compile.reading import read_source
print(read_source(Path(sys.argv[1]), trust_pickle=True).digest)
"""


def test_conversion_is_the_same_whatever_strings_hash_to(tmp_path: Path) -> None:
    path = saved(KNeighborsClassifier().fit(ROWS, CLASSES), tmp_path)

    def digest(seed: int) -> str:
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-c", READ, str(path)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert len({digest(seed) for seed in range(3)}) == 1
