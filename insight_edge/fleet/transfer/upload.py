# SPDX-License-Identifier: Apache-2.0
"""Put a kept input where the cloud asked for it, once; a failure is tried at the next offer.

The address carries its own permission; the device's secret is not shown to it.
"""

import re
from pathlib import Path

import urllib3

from insight_edge.bundle.durable import storing
from insight_edge.documents.delivery import MAX_SAMPLE_BYTES
from insight_edge.errors import DownloadError
from insight_edge.fleet.transfer.addresses import refuse_open_address

TIMEOUT_S = 60.0
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_TAKEN = frozenset({200, 201, 204})


def sample_path(deployment: Path, name: str) -> Path | None:
    """Return where a deployment keeps the sample with a digest, None where it does not.

    The digest comes from outside: it is none, or it cannot lead elsewhere.
    """
    found = _DIGEST.fullmatch(name)
    path = deployment / "samples" / f"{found[1]}.npz" if found else None
    return path if path is not None and path.is_file() else None


def put_sample(path: Path, address: str) -> None:
    """Upload a sample; it and its offer are gone from the device when it has arrived.

    One that was let go meanwhile is passed over.

    Raises:
        ConfigurationError: the address is neither TLS nor loopback.
        DownloadError: it did not arrive.
        StorageError: it cannot be removed.
    """
    refuse_open_address(address)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SAMPLE_BYTES)
    except FileNotFoundError:
        return
    pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT_S)
    try:
        answer = pool.request("PUT", address, body=data, redirect=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise DownloadError(f"{path.name}: was not uploaded: {error}") from error
    finally:
        pool.clear()
    if answer.status not in _TAKEN:
        raise DownloadError(f"{path.name}: was not uploaded: HTTP status {answer.status}")
    with storing(path):
        path.with_suffix(".offer").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
