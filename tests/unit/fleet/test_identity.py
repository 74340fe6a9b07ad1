# SPDX-License-Identifier: Apache-2.0
"""Who a device is, kept for its user alone."""

import stat
from pathlib import Path

import msgspec
import pytest

from insight_edge.bundle.owner import read_owner
from insight_edge.documents.enrolment import Broker, Identity
from insight_edge.documents.owner import Owner
from insight_edge.errors import ConfigurationError, DocumentError
from insight_edge.fleet.identity import deployment_dir, identity_of, keep_identity

IDENTITY = Identity(
    tenant="default",
    device="press-7",
    profile="rpi5-8gb",
    secret="s3cret",
    cloud="http://127.0.0.1:1",
    broker=Broker(host="127.0.0.1", port=1),
    root="{}",
    deployments=("camera-1", "camera-2"),
)


def test_identity_is_kept_for_its_user_alone_and_names_its_deployments(tmp_path: Path) -> None:
    state = tmp_path / "agent"
    keep_identity(state, IDENTITY)
    assert identity_of(state) == IDENTITY
    assert stat.S_IMODE((state / "identity.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    owner = Owner(tenant="default", device="press-7", deployment="camera-2")
    assert read_owner(deployment_dir(state, "camera-2")) == owner


def test_device_that_was_not_enrolled_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not enrolled") as caught:
        identity_of(tmp_path)
    assert caught.value.hint == "insight-edge agent enroll"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff"])
def test_identity_that_cannot_be_read_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "identity.json").write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"identity\.json: cannot be read"):
        identity_of(tmp_path)


@pytest.mark.parametrize("name", ["", "..", "../../etc", "A", "a/b", "a" * 64, "+", "#", "a b"])
@pytest.mark.parametrize("field", ["tenant", "device", "deployments"])
def test_names_that_could_leave_their_place_are_refused(
    tmp_path: Path, field: str, name: str
) -> None:
    value = (name,) if field == "deployments" else name
    with pytest.raises(DocumentError, match="is not a name"):
        keep_identity(tmp_path / "agent", msgspec.structs.replace(IDENTITY, **{field: value}))
    assert not (tmp_path / "agent").exists()
