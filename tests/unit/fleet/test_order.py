# SPDX-License-Identifier: Apache-2.0
"""Which jobs a device believes."""

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from insight_edge.documents.codec import decode_json, encode_json, encode_wire
from insight_edge.documents.desired import Assignment, Desired, Directors, Envelope
from insight_edge.documents.job import Job
from insight_edge.errors import (
    DocumentError,
    ExpiredError,
    InsightEdgeError,
    LimitExceededError,
    RevokedError,
    TamperedError,
    UnsignedError,
    WrongDeviceError,
)
from insight_edge.fleet.trust.order import MAX_LIMIT_S, MAX_VARIANTS, accept_job
from insight_edge.fleet.trust.signed import MAX_SIGNATURES
from tests.fakes.directing import DIRECTORS, KEY, OTHER, signature, signed
from tests.fakes.jobs import BUNDLE, NOW_S, job_of


def believe(envelope: bytes, directors: Directors = DIRECTORS, now_s: float = NOW_S) -> Job:
    return accept_job(envelope, directors, tenant="default", device="cam-1", now_s=now_s)


def test_what_a_director_signed_for_this_device_is_accepted_however_often_it_comes() -> None:
    envelope = signed(job_of(variants=("a", "b"), threads=4, iterations=50, limit_s=MAX_LIMIT_S))
    assert believe(envelope) == believe(envelope) == decode_json(Job, _payload(envelope))


@pytest.mark.parametrize(
    "asked",
    [
        {"scenario": "multi-stream"},
        {"scenario": "offline", "streams": 65_536, "duration_s": MAX_LIMIT_S},
        {"scenario": "server", "rate_per_s": 0.5, "deadline_ms": 9.0},
        {"scenario": "sensor", "period_ms": 33.3},
    ],
)
def test_rows_may_be_asked_in_every_scenario(asked: dict[str, Any]) -> None:
    assert believe(signed(job_of(**asked))).bench.scenario == asked["scenario"]


def test_what_nobody_signed_is_refused() -> None:
    with pytest.raises(UnsignedError):
        believe(encode_wire(Envelope(payload=encode_json(job_of()).decode())))


def test_what_a_key_that_does_not_count_any_more_signed_is_refused() -> None:
    with pytest.raises(RevokedError):
        believe(signed(job_of(), OTHER))
    with pytest.raises(RevokedError):
        believe(signed(job_of()), Directors(keys=()))


def test_more_signatures_than_are_ever_read_are_refused() -> None:
    payload = encode_json(job_of())
    many = (signature(payload),) * (MAX_SIGNATURES + 1)
    with pytest.raises(LimitExceededError):
        believe(encode_wire(Envelope(payload=payload.decode(), signatures=many)))


@pytest.mark.parametrize("changes", [{"device": "cam-2"}, {"tenant": "other"}])
def test_what_is_for_another_device_or_tenant_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(WrongDeviceError):
        believe(signed(job_of(**changes)))


def test_what_has_expired_is_refused_and_the_last_moment_counts() -> None:
    assert believe(signed(job_of(expires_s=NOW_S)))
    with pytest.raises(ExpiredError):
        believe(signed(job_of(expires_s=NOW_S - 1)))


def test_what_is_withdrawn_may_come_late_since_it_only_ends_something() -> None:
    assert believe(signed(job_of(expires_s=NOW_S - 1, withdrawn=True, rounds=0))).withdrawn


def test_what_is_desired_is_never_read_as_a_job() -> None:
    desired = Desired(
        tenant="default",
        device="cam-1",
        revision=1,
        expires_s=NOW_S + 60,
        deployments={"camera-1": Assignment(bundle=BUNDLE)},
    )
    with pytest.raises(DocumentError):
        believe(signed(desired))
    both = msgspec.structs.replace(job_of(), unknown={"revision": 9, "deployments": {}})
    with pytest.raises(DocumentError):
        believe(signed(both))


def test_fields_of_a_newer_cloud_are_kept() -> None:
    assert believe(signed(msgspec.structs.replace(job_of(), unknown={"why": "x"}))).unknown


@pytest.mark.parametrize("name", ["", "../job", "-j", "Job", "a" * 64, "a b", "a\n"])
def test_an_id_that_is_no_name_is_refused_though_signed(name: str) -> None:
    with pytest.raises(DocumentError):
        believe(signed(job_of(id=name)))


@pytest.mark.parametrize(
    "changes",
    [
        {"limit_s": 0.0},
        {"limit_s": -1.0},
        {"limit_s": MAX_LIMIT_S + 1},
        {"rounds": 0},
        {"rounds": 1001},
        {"iterations": 0},
        {"iterations": 10**7},
        {"threads": 0},
        {"threads": 257},
        {"seed": -1},
        {"seed": 2**63},
        {"variants": tuple(map(str, range(MAX_VARIANTS + 1)))},
        {"variants": ("a", "a")},
        {"variants": ("",)},
        {"variants": ("a\0b",)},
        {"variants": ("a" * 101,)},
        {"bundle": "sha256:../../etc/passwd"},
        {"scenario": "burst"},
        {"scenario": "server"},
        {"scenario": "sensor", "deadline_ms": 5.0},
        {"scenario": "server", "rate_per_s": 0.0},
        {"scenario": "server", "rate_per_s": 9.0, "period_ms": 9.0},
        {"scenario": "offline", "streams": 65_537},
        {"rate_per_s": 9.0},
        {"duration_s": 0.0},
        {"duration_s": MAX_LIMIT_S + 1},
    ],
)
def test_what_asks_for_more_than_any_job_may_is_refused_though_signed(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(DocumentError):
        believe(signed(job_of(**changes)))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_envelope_are_refused_with_our_errors(data: bytes) -> None:
    with pytest.raises(InsightEdgeError):
        believe(data)


@given(position=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_no_changed_byte_of_the_payload_is_believed(position: int, flip: int) -> None:
    payload = bytearray(encode_json(job_of()))
    right = signature(bytes(payload))
    payload[position % len(payload)] ^= flip
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(TamperedError):
        believe(encode_wire(Envelope(payload=text, signatures=(right,))))


@given(
    expires_s=st.floats(0, 2 * NOW_S),
    now_s=st.floats(0, 2 * NOW_S),
    device=st.sampled_from(["cam-1", "cam-2"]),
    key=st.sampled_from([KEY, OTHER]),
    rounds=st.integers(-5, 2000),
    withdrawn=st.booleans(),
)
def test_only_what_is_bounded_unexpired_ours_and_signed_is_believed(
    *,
    expires_s: float,
    now_s: float,
    device: str,
    key: Ed25519PrivateKey,
    rounds: int,
    withdrawn: bool,
) -> None:
    job = job_of(expires_s=expires_s, device=device, rounds=rounds, withdrawn=withdrawn)
    timely = withdrawn or expires_s >= now_s
    bounded = withdrawn or 1 <= rounds <= 1000
    believable = key is KEY and device == "cam-1" and timely and bounded
    try:
        believe(signed(job, key), now_s=now_s)
    except InsightEdgeError:
        assert not believable
    else:
        assert believable


def _payload(envelope: bytes) -> bytes:
    from insight_edge.documents.codec import decode_wire

    return decode_wire(Envelope, envelope).payload.encode()
