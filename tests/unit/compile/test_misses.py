# SPDX-License-Identifier: Apache-2.0
"""Why a build was not found: the difference from the nearest one that is kept, in words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight_edge.compile.building.ingredients import Ingredients
from insight_edge.compile.building.misses import NOTHING_KEPT, differences, why_missed
from insight_edge.documents.codec import decode_json, encode_json

JOB: dict[str, Any] = {
    "plugin": "a:B",
    "target": {"backend": "openvino", "precision": "int8", "options": {}},
    "model_digest": "sha256:1",
    "arch": "x86_64",
    "isa": ["avx2"],
    "compute_capabilities": [],
    "calibration_digest": "sha256:2",
}
WANTED = Ingredients(
    job=JOB,
    toolchain={"openvino": "2026.4.1"},
    lock="sha256:3",
    code="sha256:4",
    machine=("x86_64", "avx2"),
)

TEXT = st.text("ab", max_size=2)
INGREDIENTS = st.builds(
    Ingredients,
    job=st.fixed_dictionaries(
        {
            "target": st.fixed_dictionaries(
                {
                    "backend": st.sampled_from(["x", "y"]),
                    "precision": st.sampled_from(["fp32", "int8"]),
                    "options": st.dictionaries(TEXT, st.booleans(), max_size=2),
                }
            ),
            "model_digest": TEXT,
            "arch": TEXT,
            "isa": st.lists(TEXT, max_size=2),
            "calibration_digest": st.none() | TEXT,
            "later": st.none() | TEXT,
        }
    ),
    toolchain=st.dictionaries(TEXT, TEXT, max_size=2),
    lock=TEXT,
    code=TEXT,
    machine=st.lists(TEXT, max_size=2).map(tuple),
)


def job_with(**changes: Any) -> Ingredients:
    return replace(WANTED, job=JOB | changes)


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (job_with(calibration_digest="sha256:9"), "the calibration rows differ"),
        (job_with(calibration_digest=None), "it was built without calibration rows"),
        (job_with(original_digest="sha256:9"),
         "the file that the model was converted from differs"),
        (replace(WANTED, toolchain={"openvino": "2026.4.0"}),
         "toolchain openvino 2026.4.0 → 2026.4.1"),
        (replace(WANTED, toolchain={}), "toolchain openvino none → 2026.4.1"),
        (job_with(isa=[]), "isa gained avx2"),
        (job_with(isa=["avx2", "fma"]), "isa lost fma"),
        (job_with(arch="aarch64"), "architecture aarch64 → x86_64"),
        (replace(WANTED, machine=("x86_64",)), "isa of this machine gained avx2"),
        (replace(WANTED, machine=("aarch64",)),
         "it was built on aarch64, this machine is x86_64"),
        (replace(WANTED, lock="sha256:9"), "the lock of the toolchain differs"),
        (replace(WANTED, code="sha256:9"), "the code of the backend differs"),
        (job_with(plugin="c:D"), "plug-in c:D → a:B"),
        (job_with(model_digest="sha256:9"), "no build of this model is kept here"),
        (job_with(target=JOB["target"] | {"precision": "fp32"}),
         "no openvino:int8 of this model is kept here"),
        (job_with(target=JOB["target"] | {"options": {"tuning_s": 5.0}}),
         "target options tuning_s 5.0 → none"),
    ],
)  # fmt: skip
def test_difference_is_told(kept: Ingredients, told: str) -> None:
    assert why_missed(WANTED, [kept]) == (told,)


def test_nearest_is_told_of_wherever_it_stands() -> None:
    near, far = replace(WANTED, code="x"), replace(WANTED, code="x", lock="y")
    other = job_with(model_digest="sha256:9")
    for kept in ([near, far, other], [other, far, near]):
        assert why_missed(WANTED, kept) == ("the code of the backend differs",)
    assert why_missed(WANTED, []) == (NOTHING_KEPT,)


@given(one=INGREDIENTS, other=INGREDIENTS)
def test_differences_are_told_exactly_where_keys_differ(
    one: Ingredients, other: Ingredients
) -> None:
    assert bool(differences(one, other)) == (one.key != other.key)


@given(one=INGREDIENTS)
def test_key_survives_being_written_down(one: Ingredients) -> None:
    again = decode_json(Ingredients, encode_json(one))
    assert (again.key, differences(again, one)) == (one.key, ())


@given(wanted=INGREDIENTS, kept=st.lists(INGREDIENTS, max_size=4))
def test_something_is_always_said(wanted: Ingredients, kept: list[Ingredients]) -> None:
    assert why_missed(wanted, kept)
