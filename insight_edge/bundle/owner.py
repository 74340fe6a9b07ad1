# SPDX-License-Identifier: Apache-2.0
"""Whose state directory it is: written by the agent at enrolment, read by hosts.

<state_dir>/owner.json    an `Owner`; absent before enrolment
"""

from pathlib import Path
from typing import Final

from insight_edge.bundle.durable import replace_file
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.owner import Owner
from insight_edge.documents.topics import TENANT
from insight_edge.errors import ConfigurationError, DocumentError

NAME: Final = "owner.json"
NOBODY: Final = Owner(tenant=TENANT, device="local", deployment="default")
"""Before enrolment."""

MAX_BYTES: Final = 4096


def read_owner(state_dir: Path) -> Owner:
    """Return whose state directory it is, `NOBODY` where it does not say.

    Raises:
        ConfigurationError: what it says cannot be read.
    """
    path = state_dir / NAME
    try:
        with path.open("rb") as file:
            return decode_json(Owner, file.read(MAX_BYTES))
    except FileNotFoundError:
        return NOBODY
    except (OSError, DocumentError) as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error}", hint="enrol the device again"
        ) from error


def write_owner(state_dir: Path, owner: Owner) -> None:
    """Say whose state directory it is.

    Raises:
        StorageError: it cannot be written.
    """
    replace_file(state_dir / NAME, encode_json(owner))
