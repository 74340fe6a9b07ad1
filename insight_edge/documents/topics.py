# SPDX-License-Identifier: Apache-2.0
"""MQTT topics: who says what to whom (rules T1 to T6 in docs/formats/fleet.md).

Pure text. Nothing here connects.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from insight_edge.errors import DocumentError

PREFIX: Final = "ie/v1"
TENANT: Final = "default"
"""The one tenant until there are accounts for more."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Kind(StrEnum):
    """The last levels of a topic."""

    BIRTH = "birth"
    DEATH = "death"
    REPORTED = "reported"
    REPORT = "report"
    PREDICTION = "prediction"
    SAMPLE = "sample"
    OUTCOME = "outcome"
    JOB_RESULT = "job/result"
    DESIRED = "desired"
    ACK = "ack"
    JOB = "job"


DOWN: Final = frozenset({Kind.DESIRED, Kind.ACK, Kind.JOB})
"""What the cloud says and a device subscribes to; a device publishes all others."""

UP: Final = frozenset(Kind) - DOWN


class Topic(NamedTuple):
    """Whose topic it is, and what is said there."""

    tenant: str
    device: str
    kind: Kind

    def __str__(self) -> str:
        return f"{PREFIX}/{self.tenant}/{self.device}/{self.kind.value}"


def parse_topic(text: str) -> Topic:
    """Return the topic that `text` spells.

    Raises:
        DocumentError: it is none of ours.
    """
    head, slash, rest = text.partition(f"{PREFIX}/")
    levels = rest.split("/", 2)
    if head or not slash or len(levels) != 3 or levels[2] not in set(Kind):
        raise DocumentError(f"topic {text[:100]!r} is none of {PREFIX}")
    tenant, device, kind = levels
    return Topic(check_name("tenant", tenant), check_name("device", device), Kind(kind))


def subscription(kind: Kind, *, share: str | None = None) -> str:
    """Return the filter for one kind of all devices, shared between the members of a group."""
    all_devices = f"{PREFIX}/+/+/{kind.value}"
    return all_devices if share is None else f"$share/{share}/{all_devices}"


def check_name(what: str, name: str) -> str:
    """Return the name of a tenant, device or deployment if it is one.

    A name is a level of a topic, a part of an id and the name of a directory.

    Raises:
        DocumentError: it is not.
    """
    if _NAME.fullmatch(name) is None:
        raise DocumentError(
            f"{what} {name[:80]!r} is not a name",
            hint="1 to 63 of a-z, 0-9, '.', '_' and '-', the first a letter or digit",
        )
    return name
