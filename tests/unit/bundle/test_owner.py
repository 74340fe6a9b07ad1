# SPDX-License-Identifier: Apache-2.0
"""Whose state directory it is."""

from pathlib import Path

import pytest

from insight_edge.bundle.owner import MAX_BYTES, NOBODY, read_owner, write_owner
from insight_edge.documents.owner import Owner
from insight_edge.errors import ConfigurationError


def test_owner_is_nobody_before_enrolment_and_then_who_was_written(tmp_path: Path) -> None:
    assert read_owner(tmp_path) == NOBODY
    owner = Owner(tenant="default", device="press-7", deployment="camera-1")
    write_owner(tmp_path, owner)
    assert read_owner(tmp_path) == owner


@pytest.mark.parametrize("data", [b"", b"{}", b"x", b" " * (MAX_BYTES + 1)])
def test_owner_that_cannot_be_read_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "owner.json").write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"owner\.json: cannot be read"):
        read_owner(tmp_path)
