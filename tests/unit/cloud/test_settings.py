# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from insight_cloud.platform.settings import Settings, load_settings, merge_settings
from insight_edge.errors import ConfigurationError


def test_settings_are_the_defaults_when_no_layer_says_otherwise() -> None:
    assert merge_settings({}, {"PATH": "/bin"}, {"state": None}) == Settings()


@pytest.mark.parametrize(
    ("file", "environment", "flag", "expected"),
    [
        ("a", None, None, "a"),
        ("a", "b", None, "b"),
        ("a", "b", "c", "c"),
        ("a", None, "c", "c"),
    ],
)
def test_settings_take_the_highest_layer(
    file: str, environment: str | None, flag: str | None, expected: str
) -> None:
    variables = {"INSIGHT_CLOUD_STATE": environment} if environment else {}
    flags = {"state": Path(flag) if flag else None}
    assert merge_settings({"state": file}, variables, flags).state == Path(expected)


def test_settings_place_database_and_blobs_in_the_state_unless_told() -> None:
    settings = merge_settings({"state": "s"}, {"INSIGHT_CLOUD_BLOBS": "/big"}, {})
    assert settings.database_path == Path("s/cloud.sqlite")
    assert settings.blobs_path == Path("/big")


def test_settings_name_the_nearest_key_when_the_file_has_an_unknown_one() -> None:
    with pytest.raises(ConfigurationError, match="'databse'") as caught:
        merge_settings({"databse": "x"}, {}, {})
    assert caught.value.hint == "did you mean 'database'?"


def test_settings_name_the_nearest_variable_when_the_environment_has_an_unknown_one() -> None:
    with pytest.raises(ConfigurationError, match="INSIGHT_CLOUD_SATE") as caught:
        merge_settings({}, {"INSIGHT_CLOUD_SATE": "x"}, {})
    assert caught.value.hint == "did you mean 'INSIGHT_CLOUD_STATE'?"


@pytest.mark.parametrize("value", [3, "", True, ["x"]])
def test_settings_refuse_what_is_no_path(value: object) -> None:
    with pytest.raises(ConfigurationError, match="'state' must be a path"):
        merge_settings({"state": value}, {}, {})


def test_settings_refuse_a_file_that_is_not_toml(tmp_path: Path) -> None:
    file = tmp_path / "insight-cloud.toml"
    file.write_text("state = ")
    with pytest.raises(ConfigurationError, match=r"insight-cloud\.toml"):
        load_settings(file, {}, {})


def test_settings_read_their_file(tmp_path: Path) -> None:
    file = tmp_path / "insight-cloud.toml"
    file.write_text("state = 'here'")
    assert load_settings(file, {}, {}).state == Path("here")


@pytest.mark.parametrize(
    ("file", "environment", "expected"), [(50, None, 50), (50, "7", 7), (None, "1000000000", 10**9)]
)
def test_settings_take_numbers_as_numbers_and_as_the_text_of_a_variable(
    file: int | None, environment: str | None, expected: int
) -> None:
    written = {} if file is None else {"segment_rows": file}
    variables = {} if environment is None else {"INSIGHT_CLOUD_SEGMENT_ROWS": environment}
    assert merge_settings(written, variables, {}).segment_rows == expected


@pytest.mark.parametrize(
    "value",
    [0, -1, 10**9 + 1, 1.5, True, "", "x", "1e3", " 5", "-5", "0", "9" * 5000, [5], "\u0665"],
)
def test_settings_refuse_what_is_no_number_of_rows(value: object) -> None:
    with pytest.raises(ConfigurationError, match="'segment_rows' must be a whole number from 1"):
        merge_settings({"segment_rows": value}, {}, {})
