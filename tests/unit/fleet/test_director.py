# SPDX-License-Identifier: Apache-2.0
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.codec import decode_json, encode_json, encode_wire
from insight_edge.documents.desired import (
    Assignment,
    Desired,
    DirectorKey,
    Directors,
    Envelope,
    Signature,
)
from insight_edge.errors import (
    DocumentError,
    ExpiredError,
    InsightEdgeError,
    LimitExceededError,
    RevokedError,
    RolledBackError,
    TamperedError,
    UnsignedError,
    WrongDeviceError,
)
from insight_edge.fleet.trust.director import accept
from insight_edge.fleet.trust.signed import MAX_SIGNATURES
from tests.fakes.directing import DIRECTORS, KEY, OTHER, director, signature, signed
from tests.fakes.jobs import job_of

NOW_S = 1_800_000_000.0
BUNDLE = f"sha256:{'ab' * 32}"


def desired(**changes: Any) -> Desired:
    fields: dict[str, Any] = {
        "tenant": "default",
        "device": "cam-1",
        "revision": 7,
        "expires_s": NOW_S + 60,
        "deployments": {"camera-1": Assignment(bundle=BUNDLE)},
    }
    return Desired(**(fields | changes))


def believe(envelope: bytes, directors: Directors = DIRECTORS, **changes: Any) -> Desired:
    known: dict[str, Any] = {"tenant": "default", "device": "cam-1", "revision": 6, "now_s": NOW_S}
    return accept(envelope, directors, **(known | changes))


def test_what_a_director_signed_for_this_device_is_accepted() -> None:
    assert believe(signed(desired())) == desired()


def test_what_nobody_signed_is_refused() -> None:
    payload = encode_json(desired()).decode()
    with pytest.raises(UnsignedError):
        believe(encode_wire(Envelope(payload=payload)))


def test_what_a_key_that_does_not_count_signed_is_refused() -> None:
    with pytest.raises(RevokedError):
        believe(signed(desired(), OTHER))


def test_another_key_under_the_name_of_one_that_counts_is_refused() -> None:
    payload = encode_json(desired())
    forged = Signature(key=director(KEY).key, value=OTHER.sign(payload).hex())
    with pytest.raises(TamperedError):
        believe(encode_wire(Envelope(payload=payload.decode(), signatures=(forged,))))


def test_one_right_signature_is_enough_while_a_key_is_rotated() -> None:
    assert believe(signed(desired(), OTHER, KEY)) == desired()


@pytest.mark.parametrize("value", ["", "00", "zz" * 64, "00" * 64, "é" * 128, "00" * 65])
def test_what_is_no_signature_is_none(value: str) -> None:
    payload = encode_json(desired()).decode()
    bad = Signature(key=director(KEY).key, value=value)
    with pytest.raises(TamperedError):
        believe(encode_wire(Envelope(payload=payload, signatures=(bad,))))


def test_more_signatures_than_are_ever_read_are_refused() -> None:
    payload = encode_json(desired())
    many = (signature(payload),) * (MAX_SIGNATURES + 1)
    with pytest.raises(LimitExceededError):
        believe(encode_wire(Envelope(payload=payload.decode(), signatures=many)))


@pytest.mark.parametrize(
    "key",
    [
        DirectorKey(key=director(KEY).key, public=director(OTHER).public),
        DirectorKey(key=director(KEY).key, public="not hexadecimal"),
        DirectorKey(key=director(KEY).key, public=""),
    ],
)
def test_a_director_whose_key_is_not_what_its_id_says_does_not_count(key: DirectorKey) -> None:
    with pytest.raises(RevokedError):
        believe(signed(desired()), Directors(keys=(key,)))


def test_nothing_of_the_payload_is_parsed_before_a_signature_was_found_good() -> None:
    """A payload that no parser takes is refused for its signature, not for its contents."""
    bad = Signature(key=director(KEY).key, value="00" * 64)
    with pytest.raises(TamperedError):
        believe(encode_wire(Envelope(payload="{not json", signatures=(bad,))))
    right = Envelope(payload="{not json", signatures=(signature(b"{not json"),))
    with pytest.raises(DocumentError):
        believe(encode_wire(right))


@pytest.mark.parametrize("changes", [{"device": "cam-2"}, {"tenant": "other"}])
def test_what_is_for_another_device_or_tenant_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(WrongDeviceError):
        believe(signed(desired(**changes)))


def test_what_has_expired_is_refused_and_the_last_moment_counts() -> None:
    assert believe(signed(desired(expires_s=NOW_S)))
    with pytest.raises(ExpiredError):
        believe(signed(desired(expires_s=NOW_S - 1)))


def test_an_older_revision_is_refused() -> None:
    with pytest.raises(RolledBackError):
        believe(signed(desired(revision=6)), revision=7)


def test_the_same_revision_is_accepted_again_with_the_same_contents_alone() -> None:
    assert believe(signed(desired()), revision=7, last=desired()) == desired()
    other = desired(deployments={})
    with pytest.raises(RolledBackError):
        believe(signed(other), revision=7, last=desired())


@pytest.mark.parametrize(
    "deployments",
    [
        {"../camera": Assignment(bundle=BUNDLE)},
        {"": Assignment(bundle=BUNDLE)},
        {"camera-1": Assignment(bundle="sha256:../../etc/passwd")},
        {"camera-1": Assignment(bundle=BUNDLE, share=1.5)},
        {"camera-1": Assignment(bundle=BUNDLE, share=-0.1)},
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_though_signed(
    deployments: dict[str, Assignment],
) -> None:
    with pytest.raises(DocumentError):
        believe(signed(desired(deployments=deployments)))


def test_fields_of_a_newer_cloud_are_kept() -> None:
    newer = msgspec.structs.replace(desired(), unknown={"hurry": True})
    assert believe(signed(newer)).unknown == {"hurry": True}


@given(st.binary(max_size=300))
def test_bytes_that_are_no_envelope_are_refused_with_our_errors(data: bytes) -> None:
    with pytest.raises(InsightEdgeError):
        believe(data)


@given(position=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_no_changed_byte_of_the_payload_is_believed(position: int, flip: int) -> None:
    payload = bytearray(encode_json(desired()))
    right = signature(bytes(payload))
    payload[position % len(payload)] ^= flip
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(TamperedError):
        believe(encode_wire(Envelope(payload=text, signatures=(right,))))


@given(
    revision=st.integers(0, 20),
    accepted=st.integers(0, 20),
    expires_s=st.floats(0, 2 * NOW_S),
    now_s=st.floats(0, 2 * NOW_S),
    device=st.sampled_from(["cam-1", "cam-2"]),
    key=st.sampled_from([KEY, OTHER]),
)
def test_only_what_is_newest_unexpired_ours_and_signed_is_believed(
    *,
    revision: int,
    accepted: int,
    expires_s: float,
    now_s: float,
    device: str,
    key: Ed25519PrivateKey,
) -> None:
    document = desired(revision=revision, expires_s=expires_s, device=device)
    believable = key is KEY and device == "cam-1" and revision >= accepted and expires_s >= now_s
    try:
        found = believe(signed(document, key), revision=accepted, now_s=now_s)
    except InsightEdgeError:
        assert not believable
    else:
        assert believable
        assert found == decode_json(Desired, encode_json(document))


def test_a_job_is_never_read_as_what_is_desired() -> None:
    with pytest.raises(DocumentError):
        believe(signed(job_of()))
    both = msgspec.structs.replace(desired(), unknown={"id": "job-1"})
    with pytest.raises(DocumentError):
        believe(signed(both))
