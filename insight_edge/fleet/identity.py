# SPDX-License-Identifier: Apache-2.0
"""Who this device is, on disk, and where the agent keeps what.

    <state>/identity.json           an `Identity`, readable by its user alone
    <state>/deployments/<name>/     what a runtime host attaches to

It is written once, at enrolment (`fleet.enrol`).
"""

from pathlib import Path
from typing import Final

from insight_edge.bundle.durable import replace_file, storing
from insight_edge.bundle.owner import write_owner
from insight_edge.documents.codec import decode_json, encode_json
from insight_edge.documents.enrolment import Identity
from insight_edge.documents.owner import Owner
from insight_edge.documents.topics import check_name
from insight_edge.errors import ConfigurationError, DocumentError

NAME: Final = "identity.json"
MAX_BYTES: Final = 1024 * 1024


def identity_of(state: Path) -> Identity:
    """Return who this device is.

    Raises:
        ConfigurationError: it was not enrolled, or what is written there cannot be read.
    """
    path = state / NAME
    try:
        with path.open("rb") as file:
            identity = decode_json(Identity, file.read(MAX_BYTES))
        _check(identity)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{state}: this device is not enrolled", hint="insight-edge agent enroll"
        ) from error
    except (OSError, DocumentError) as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error}", hint="enrol the device again"
        ) from error
    return identity


def keep_identity(state: Path, identity: Identity) -> None:
    """Write who this device is, and make the directories of its deployments.

    Raises:
        DocumentError: a name in it is none.
        StorageError: it cannot be written.
    """
    _check(identity)
    with storing(state):
        state.mkdir(parents=True, exist_ok=True)
        state.chmod(0o700)
    for deployment in identity.deployments:
        place = deployment_dir(state, deployment)
        with storing(place):
            place.mkdir(parents=True, exist_ok=True)
        owner = Owner(tenant=identity.tenant, device=identity.device, deployment=deployment)
        write_owner(place, owner)
    replace_file(state / NAME, encode_json(identity), mode=0o600)


def deployment_dir(state: Path, deployment: str) -> Path:
    """Return the state directory that a runtime host of this deployment attaches to."""
    return state / "deployments" / deployment


def _check(identity: Identity) -> None:
    check_name("tenant", identity.tenant)
    check_name("device", identity.device)
    for deployment in identity.deployments:
        check_name("deployment", deployment)
