# SPDX-License-Identifier: Apache-2.0
"""The way to the cloud: its HTTP door, the time there, and the broker."""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import urllib3

from insight_edge.documents.enrolment import Identity
from insight_edge.errors import ConfigurationError
from insight_edge.fleet.doctor.check import Check, failed, ok, span, warning
from insight_edge.fleet.link.connection import try_login
from insight_edge.fleet.transfer.addresses import refuse_open_address

TIMEOUT_S: Final = 5.0
MAX_BYTES: Final = 64 * 1024
EXACT_S: Final = 60.0
PLAUSIBLE_S: Final = 3600.0
"""A clock that is further away lets metadata look expired, or fresh for ever."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the HTTP door said when it was asked for the newest timestamp metadata.

    Attributes:
        status: of HTTP; None where nobody answered.
        trouble: why nobody did.
        date_s: by the cloud's clock, seconds since the epoch.
        body: the metadata; nobody has checked it.
    """

    status: int | None = None
    trouble: str = ""
    date_s: float | None = None
    body: bytes = b""


def ask_cloud(identity: Identity, timeout_s: float = TIMEOUT_S) -> Answer:
    """Ask the HTTP door as the agent does."""
    try:
        refuse_open_address(identity.cloud)
    except ConfigurationError as error:
        return Answer(trouble=str(error))
    pool = urllib3.PoolManager(retries=False, timeout=timeout_s)
    try:
        with pool.request(
            "GET",
            f"{identity.cloud.rstrip('/')}/v1/tuf/metadata/timestamp.json",
            headers={"Authorization": f"Bearer {identity.secret}"},
            redirect=False,
            preload_content=False,
        ) as answer:
            date_s = _date_s(answer.headers.get("Date"))
            return Answer(status=answer.status, date_s=date_s, body=answer.read(MAX_BYTES))
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return Answer(trouble=type(error).__name__)
    finally:
        pool.clear()


def judge_cloud(identity: Identity, answer: Answer) -> Check:
    """Return whether the HTTP door lets this device in."""
    if answer.status is None:
        says = f"{identity.cloud} cannot be reached ({answer.trouble})"
        return failed("cloud", says, "is the network up, the cloud or the tunnel to it running?")
    if answer.status in {401, 403}:
        says = f"{identity.cloud} does not know this device (HTTP status {answer.status})"
        return failed("cloud", says, "it was retired, or the cloud is another: enrol it again")
    if answer.status != 200:
        says = f"{identity.cloud} answers with HTTP status {answer.status}"
        return failed("cloud", says, "look at the cloud's log")
    return ok("cloud", f"{identity.cloud} lets this device in")


def judge_clock(now_s: float, cloud_s: float | None, passed_s: float) -> Check:
    """Return whether the device's clock can be right.

    Args:
        now_s: what it says, seconds since the epoch.
        cloud_s: what the cloud's says; None where that is not known.
        passed_s: a time that has certainly passed.
    """
    hint = "set the clock: timedatectl set-ntp true"
    if cloud_s is not None:
        off_s = now_s - cloud_s
        says = f"{span(off_s)} {'ahead of' if off_s > 0 else 'behind'} the cloud's"
        if abs(off_s) > PLAUSIBLE_S:
            return failed("clock", says, hint)
        if abs(off_s) > EXACT_S:
            return warning("clock", says, hint)
        return ok("clock", "as the cloud's")
    if now_s < passed_s:
        says = f"{span(passed_s - now_s)} before a time that has certainly passed"
        return failed("clock", says, hint)
    return warning("clock", "the cloud's is not known to compare it with", "mend the way there")


def look_at_broker(identity: Identity, timeout_s: float = TIMEOUT_S) -> Check:
    """Return whether the broker lets this device in; a link of the agent's is left alone."""
    broker = identity.broker
    at = f"{broker.host}:{broker.port}"
    try:
        reason = try_login(identity, timeout_s=timeout_s)
    except ConfigurationError as error:
        return failed("broker", str(error), error.hint or "")
    if reason is None:
        return ok("broker", f"{at} lets this device in")
    return failed("broker", f"{at}: {reason}", "is it running, and does it know this device?")


def _date_s(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
