# SPDX-License-Identifier: Apache-2.0
"""Make this machine a device of a fleet: ask the cloud once, and keep what it says.

The token is an operator's; it works once. What comes back holds the secret of
the device and the root of trust, so it comes over TLS, or over loopback.
"""

import msgspec
import urllib3

from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.enrolment import EnrolmentRequest, Identity
from insight_edge.errors import DocumentError, EnrolmentError
from insight_edge.fleet.transfer.addresses import refuse_open_address

PATH = "/v1/enrol"
TIMEOUT_S = 20.0
MAX_BYTES = 1024 * 1024
_CREATED = 201


def enrol(cloud: str, request: EnrolmentRequest, *, ca: str | None = None) -> Identity:
    """Return who this device is from now on.

    Args:
        cloud: base address of the cloud's HTTP door.
        request: token, wishes and facts.
        ca: file of the certificates that may sign the cloud's; the system's for None.

    Raises:
        ConfigurationError: the address is none, or neither TLS nor loopback.
        EnrolmentError: the cloud refused, cannot be reached, or answered nonsense.
    """
    refuse_open_address(cloud)
    pool = urllib3.PoolManager(ca_certs=ca, retries=False, timeout=TIMEOUT_S)
    try:
        with pool.request(
            "POST",
            cloud.rstrip("/") + PATH,
            body=encode_json(request),
            headers={"Content-Type": "application/json"},
            redirect=False,
            preload_content=False,
        ) as answer:
            body = answer.read(MAX_BYTES)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise EnrolmentError(f"{cloud}: cannot be reached: {error}") from error
    finally:
        pool.clear()
    if answer.status != _CREATED:
        raise EnrolmentError(f"{cloud}: refused: {_words(body, answer.status)}")
    try:
        return decode_json(Identity, body)
    except DocumentError as error:
        raise EnrolmentError(f"{cloud}: answered nonsense: {error}") from error


def _words(body: bytes, status: int) -> str:
    """Return what the cloud says for people (`detail` of a problem), on one line."""
    try:
        detail = msgspec.json.decode(body).get("detail")
    except (msgspec.MsgspecError, AttributeError):
        detail = None
    text = detail if isinstance(detail, str) else f"HTTP status {status}"
    return " ".join(text.split())[:300]
