# SPDX-License-Identifier: Apache-2.0
"""Decide whether what a device is told to run is to be believed.

Pure: bytes, keys and a time in; a document out, or a refusal. Nothing is parsed before
its signature was checked (`fleet.trust.signed`). This module fetches no keys and
remembers no revision.
"""

from insight_edge.documents.codec import check_digest, decode_json
from insight_edge.documents.desired import Challenging, Desired, Directors
from insight_edge.documents.topics import check_name
from insight_edge.errors import DocumentError, ExpiredError, RolledBackError
from insight_edge.fleet.trust.signed import refuse_others, signed_payload

MAX_SALT = 256

_WHAT = "what was desired"


def accept(
    envelope_bytes: bytes,
    directors: Directors,
    *,
    tenant: str,
    device: str,
    revision: int,
    now_s: float,
    last: Desired | None = None,
) -> Desired:
    """Return what this device should run, if it is to be believed.

    Args:
        envelope_bytes: payload of the topic `desired`.
        directors: whose signatures count, out of verified metadata.
        tenant: of this device.
        device: its name.
        revision: that was accepted last, 0 before the first.
        now_s: seconds since the epoch, never before what the device has seen (`Trust.now_s`).
        last: what was accepted at `revision`, where it is at hand; nothing else may have the
            same revision.

    Raises:
        UnsignedError: there is no signature.
        RevokedError: no key that signed it counts, or counts any more.
        TamperedError: the payload is not what was signed.
        WrongDeviceError: it is for another device or tenant.
        ExpiredError: it was signed too long ago.
        RolledBackError: its revision is lower than the last, or the last's with other contents.
        LimitExceededError: more bytes or signatures than are ever read.
        DocumentError: it is malformed, or a job.
    """
    desired = decode_json(Desired, signed_payload(envelope_bytes, directors, what=_WHAT))
    _refuse_malformed(desired)
    refuse_others((desired.tenant, desired.device), (tenant, device), what=_WHAT)
    _refuse_older(desired, revision, last)
    if desired.expires_s < now_s:
        raise ExpiredError(
            f"revision {desired.revision} expired {now_s - desired.expires_s:.0f} s ago",
            hint="the cloud signs it again when the device is seen; check the device's clock",
        )
    return desired


def _refuse_malformed(desired: Desired) -> None:
    if "id" in desired.unknown:
        raise DocumentError("what was desired has an id, as a job has (rule J1)")
    for name, assignment in desired.deployments.items():
        check_name("deployment", name)
        check_digest(f"deployment '{name}'", assignment.bundle)
        if not 0.0 <= assignment.share <= 1.0:
            raise DocumentError(f"deployment '{name}': a share of {assignment.share}")
        if assignment.challenger is not None:
            _refuse_challenger(f"the challenger of '{name}'", assignment.challenger)


def _refuse_challenger(what: str, wanted: Challenging) -> None:
    check_digest(what, wanted.bundle)
    for share in (wanted.cpu_share, wanted.share):
        if not 0.0 <= share <= 1.0:
            raise DocumentError(f"{what}: a share of {share}")
    if len(wanted.salt) > MAX_SALT:
        raise DocumentError(f"{what}: a salt of {len(wanted.salt)} characters")


def _refuse_older(desired: Desired, revision: int, last: Desired | None) -> None:
    if desired.revision < revision:
        raise RolledBackError(f"revision {desired.revision} is older than {revision}")
    if last is not None and desired.revision == last.revision and desired != last:
        raise RolledBackError(f"revision {desired.revision} was accepted with other contents")
