# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.versions import satisfies

RELEASES = st.lists(st.integers(0, 2000), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("version", "requirement", "met"),
    [
        ("1.22.0", "", True),
        ("1.22.0", ">=1.22,<2", True),
        ("1.22", ">=1.22.0", True),
        ("1.22.0", ">1.22", False),
        ("1.9", ">=1.22", False),
        ("2.0", ">=1.22,<2", False),
        ("1.22.1", " >= 1.22 , < 2 , ", True),
        ("1.22.0", "==1.22", True),
        ("1.22.1", "==1.22", False),
        ("1.22.1", "!=1.22.1", False),
        ("1.22.1", "<=1.22", False),
        ("2026.4.0-22982-releases", ">=2026.4,<2027", True),
        ("1.23.0.dev3+cu13", "==1.23", True),
    ],
)
def test_requirement_is_met_number_by_number(version: str, requirement: str, met: bool) -> None:
    assert satisfies(version, requirement) is met


@pytest.mark.parametrize("requirement", ["1.22", "~=1.22", "==1.*", ">=", ">=v1", ">=1.22 <2"])
def test_requirement_that_cannot_be_read_is_an_error(requirement: str) -> None:
    with pytest.raises(ValueError, match="version requirement"):
        satisfies("1.22", requirement)


@pytest.mark.parametrize("version", ["", "v1.2", "nightly"])
def test_version_without_a_number_is_an_error(version: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        satisfies(version, ">=1")


@given(RELEASES, RELEASES)
def test_exactly_one_of_below_same_and_above_is_met(left: list[int], right: list[int]) -> None:
    version, wanted = (".".join(map(str, numbers)) for numbers in (left, right))
    met = [satisfies(version, f"{sign}{wanted}") for sign in ("<", "==", ">")]
    assert met.count(True) == 1
    assert satisfies(version, f"<={wanted}") == (met[0] or met[1])
    assert satisfies(version, f">={wanted}") == (met[2] or met[1])
    assert satisfies(version, f"!={wanted}") != met[1]
