# SPDX-License-Identifier: Apache-2.0
"""Boosted trees become ONNX that answers like the framework, at ties too, or are refused."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.compile.importers.lightgbm import LightgbmImporter, reworded
from insight_edge.compile.importers.trees import labelled, parity_rows
from insight_edge.compile.importers.xgboost import XgboostImporter
from insight_edge.compile.reading import read_source
from insight_edge.compile.sources.source import SourceModel
from insight_edge.errors import ModelError
from tests.fakes.frameworks import made_apart

CLASSIFIERS = ("binary", "classes", "missing", "logistic", "softmax", "stopped", "steep",
               "shares")  # fmt: skip


def answers_of(source: SourceModel, rows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(source.data, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"X": rows})[-1]
    return found


def assert_face(source: SourceModel, kind: str, classes: int) -> None:
    faces = [(s.name, s.dtype, s.shape) for s in source.workload.outputs]
    if kind in CLASSIFIERS:
        label, scores = faces
        assert label == ("label", "int64", ("batch",))
        assert scores == ("probabilities", "float32", ("batch", classes))
    else:
        assert faces == [("variable", "float32", ("batch", 1))]
    assert source.workload.opset == 18
    assert [(s.name, s.shape) for s in source.workload.inputs] == [("X", ("batch", 5))]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".ubj", ".json"])
@pytest.mark.parametrize(
    "kind",
    [
        "regression",
        "poisson",
        "dart",
        "binary",
        "logistic",
        "classes",
        "softmax",
        "rank",
        "missing",
        "stopped",
        "logitraw",
    ],
)
def test_xgboost_becomes_onnx_of_the_same_answers(kind: str, suffix: str, tmp_path: Path) -> None:
    if suffix == ".json" and kind not in {"regression", "classes"}:
        pytest.skip("one format is enough for the others")
    source = read_source(made_apart("xgboost", tmp_path / f"m{suffix}", kind))
    assert source.importer == "xgboost"
    assert_face(source, kind, 3 if kind in {"classes", "softmax", "stopped"} else 2)
    with np.load(tmp_path / "rows.npz") as held:
        rows, wanted = held["rows"], held["answers"]
    found = answers_of(source, rows)
    if kind == "softmax":
        np.testing.assert_array_equal(found.argmax(axis=1), wanted[:, 0])
    else:
        np.testing.assert_allclose(found[:, -wanted.shape[1] :], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["regression", "poisson", "forest", "binary", "classes", "missing", "fair", "steep", "shares"],
)
def test_lightgbm_becomes_onnx_of_the_same_answers(kind: str, tmp_path: Path) -> None:
    source = read_source(made_apart("lightgbm", tmp_path / "m.txt", kind))
    assert source.importer == "lightgbm"
    assert_face(source, kind, 3 if kind == "classes" else 2)
    with np.load(tmp_path / "rows.npz") as held:
        found, wanted = answers_of(source, held["rows"]), held["answers"]
    np.testing.assert_allclose(found[:, -wanted.shape[1] :], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "kind", "expected"),
    [
        ("xgboost", "linear", "a booster of the kind gblinear is not of trees"),
        ("xgboost", "categories", "it splits by categories"),
        ("lightgbm", "categories", "it splits by categories"),
        ("lightgbm", "zeros", "it takes zeros for missing values"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    token: str, kind: str, expected: str, tmp_path: Path
) -> None:
    path = made_apart(token, tmp_path / ("m.txt" if token == "lightgbm" else "m.ubj"), kind)
    with pytest.raises(ModelError) as caught:
        read_source(path)
    assert str(caught.value).startswith(f"{path.name}: {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [10, 1000, -300])
@pytest.mark.parametrize("name", ["m.ubj", "m.json", "m.txt"])
def test_damaged_file_is_a_model_error(name: str, cut: int, tmp_path: Path) -> None:
    token = "lightgbm" if name.endswith(".txt") else "xgboost"
    path = made_apart(token, tmp_path / name)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelError) as caught:
        read_source(path)
    assert "\n" not in str(caught.value)


def test_names_that_frameworks_share_are_looked_into(tmp_path: Path) -> None:
    files = {"a.json": '{"learner": 1}', "b.json": "{}", "e.ubj": ""}
    files |= {
        "c.txt": "tree\nversion=v4",
        "d.txt": "trees",
        "g.model": "tree\n",
        "h.json": "tree\n",
    }
    files |= {"f.model": "{L\0\0\0\0\0\0\0\x07learner{L", "i.model": "binf", "j.md": "tree\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    accepted = {
        path.name: (XgboostImporter().accepts(path), LightgbmImporter().accepts(path))
        for path in tmp_path.iterdir()
    }
    assert accepted == {
        "a.json": (True, False),
        "b.json": (False, False),
        "c.txt": (False, True),
        "d.txt": (False, False),
        "e.ubj": (True, False),
        "f.model": (True, False),
        "g.model": (False, True),
        "h.json": (False, True),
        "i.model": (False, False),
        "j.md": (False, False),
    }


@pytest.mark.slow
@pytest.mark.parametrize("token", ["xgboost", "lightgbm"])
def test_format_is_seen_in_a_file_of_another_name(token: str, tmp_path: Path) -> None:
    made = made_apart(token, tmp_path / ("m.ubj" if token == "xgboost" else "m.txt"))
    assert read_source(made.rename(tmp_path / "m.model")).importer == token


def test_parity_rows_lie_at_below_and_above_every_threshold() -> None:
    rows = parity_rows({0: [0.1, 7.5]}, 2)
    seen = {float(value) for value in rows[:, 0] if not np.isnan(value)}
    for threshold in np.asarray([0.1, 7.5], np.float32):
        around = [np.nextafter(threshold, np.float32(to)) for to in (-np.inf, np.inf)]
        assert {float(threshold), *map(float, around)} <= seen
    assert (round(min(seen), 5), max(seen)) == (-0.9, 8.5)
    assert np.isnan(rows[-128:]).any()
    assert not np.isnan(rows[:-128]).any()


def test_rows_of_no_clear_label_are_left_out() -> None:
    rows = np.zeros((3, 1), np.float32)
    kept, (labels, scores) = labelled(rows, np.array([0.2, 0.5, 0.9]))
    assert len(kept) == 2
    assert labels.tolist() == [0, 1]
    np.testing.assert_allclose(scores, [[0.8, 0.2], [0.1, 0.9]], rtol=1e-6)


@given(
    st.floats(-1e30, 1e30, allow_subnormal=False),
    st.integers(-2, 2),
)
def test_rounded_threshold_is_the_same_for_every_float32(threshold: float, steps: int) -> None:
    line, _ = reworded(f"threshold={threshold!r}\ndecision_type=8", 1).splitlines()
    rounded = float(line.removeprefix("threshold="))
    assert float(np.float32(rounded)) == rounded
    feature = np.float32(threshold)
    for _ in range(abs(steps)):
        feature = np.nextafter(feature, np.float32(np.inf if steps > 0 else -np.inf))
    assert (float(feature) <= threshold) == (float(feature) <= rounded)


def test_nan_goes_where_zero_goes_unless_it_counts_as_missing() -> None:
    text = "threshold=-1 0 1 -1 1\ndecision_type=2 0 0 10 8"
    assert reworded(text, 1).splitlines()[1] == "decision_type=0 2 2 10 8"


def test_mean_of_a_forest_becomes_a_sum() -> None:
    text = "tree\naverage_output\ntree_sizes=9 9\nleaf_value=1 3\nleaf_value=-2\n"
    assert reworded(text, 2) == "tree\nleaf_value=0.5 1.5\nleaf_value=-1.0\n"
