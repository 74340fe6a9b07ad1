# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insight_edge.bundle.open import open_manifest
from insight_edge.documents.manifest import Manifest
from insight_edge.documents.steps import Feature, Observe, Scale
from insight_edge.errors import DocumentError
from insight_edge.runtime.observation import observation_from_manifest
from insight_edge.runtime.result import Flags
from tests.fakes.matrix import COLUMNS, random_matrix, write_matrix_bundle


def manifest(directory: Path, **changes: Any) -> Manifest:
    write_matrix_bundle(directory / "bundle", random_matrix(0), **changes)
    return open_manifest(directory / "bundle", allow_unsigned=True).manifest


def test_sides_have_their_own_columns_of_the_grid(tmp_path: Path) -> None:
    observation = observation_from_manifest(manifest(tmp_path))
    assert observation.inputs is not None
    assert observation.outputs is not None
    assert observation.inputs.grid.names == tuple(f"x{i}" for i in range(COLUMNS))
    assert observation.outputs.grid.names == ("y.max",)
    assert not observation.raw


def test_no_reference_counts_nothing(tmp_path: Path) -> None:
    observation = observation_from_manifest(manifest(tmp_path, reference=None))
    assert observation.inputs is observation.outputs is None


def test_feature_of_no_tensor_is_refused(tmp_path: Path) -> None:
    observe = Observe(inputs=(Feature(name="x0", tensor="image", measure="mean"),))
    with pytest.raises(DocumentError, match="'x0' reads no tensor 'image'"):
        observation_from_manifest(manifest(tmp_path, observe=observe))


def test_feature_outside_the_reference_is_refused(tmp_path: Path) -> None:
    observe = Observe(inputs=(Feature(name="new", tensor="x", measure="mean"),))
    with pytest.raises(DocumentError, match="'new' is not in the reference"):
        observation_from_manifest(manifest(tmp_path, observe=observe))


def test_output_features_may_read_what_post_makes(tmp_path: Path) -> None:
    observe = Observe(outputs=(Feature(name="y.max", tensor="scaled", measure="max"),))
    post = (Scale(source="y", result="scaled", factor=2.0),)
    observation = observation_from_manifest(manifest(tmp_path, observe=observe, post=post))
    assert observation.outputs is not None
    assert [spec.name for spec in observation.outputs.specs] == ["scaled"]


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ([0.0] * COLUMNS, Flags.NONE),
        ([np.nan, *[0.0] * (COLUMNS - 1)], Flags.INPUT_NAN),
        ([1e6, *[0.0] * (COLUMNS - 1)], Flags.OUT_OF_RANGE),
        ([np.nan, -np.inf, *[0.0] * (COLUMNS - 2)], Flags.INPUT_NAN | Flags.OUT_OF_RANGE),
    ],
)
def test_judge_flags_what_is_odd(tmp_path: Path, values: list[float], flags: Flags) -> None:
    observation = observation_from_manifest(manifest(tmp_path))
    row = np.array([values], np.float32)
    assert observation.judge({"x": row}) == flags
    assert observation.inputs is not None
    rows = observation.inputs.rows({"x": row})
    assert observation.inputs.unusual(rows).tolist() == [flags != Flags.NONE]


def test_judge_sees_nan_without_a_reference(tmp_path: Path) -> None:
    observation = observation_from_manifest(manifest(tmp_path, reference=None))
    assert observation.judge({"x": np.array([[np.nan]]), "n": np.array([1])}) == Flags.INPUT_NAN
    assert observation.judge({"x": np.array([[1e9]])}) == Flags.NONE
