# SPDX-License-Identifier: Apache-2.0
"""What devices ask over HTTP: to be enrolled, update metadata, blobs of releases, to upload.

A device shows its secret as a bearer token; an upload shows its signed address.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from insight_cloud.app.body import read_body
from insight_cloud.app.ranges import ByteRange, byte_range
from insight_cloud.devices.device import Device
from insight_cloud.devices.service import Devices
from insight_cloud.platform.blobs import Blobs
from insight_cloud.platform.errors import ForbiddenError, NotFoundError
from insight_cloud.platform.presigned import Presigner, Upload
from insight_edge.documents.codec import decode_json, digest, encode_json
from insight_edge.documents.delivery import MAX_SAMPLE_BYTES
from insight_edge.documents.enrolment import Broker, EnrolmentRequest, Identity
from insight_edge.documents.profile import HardwareProfile
from insight_edge.errors import DigestMismatchError, LimitExceededError

MAX_REQUEST_BYTES = 256 * 1024
PART_BYTES = 1024 * 1024

_METADATA = re.compile(r"(?:[1-9][0-9]{0,9}\.)?[a-z0-9-]{1,63}\.json")
_TARGET = re.compile(r"(?:[a-z0-9-]{1,63}/)?[0-9a-f]{64}\.[a-z0-9-]{1,80}\.json")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class DeviceServices:
    """What the door opens to.

    Attributes:
        repository: directory of the TUF files.
        root: returns the root metadata that new devices believe.
        is_released: whether a blob belongs to a bundle that devices may install.
        uploaded: is told of a sample that has arrived.
        broker: returns what a device, by tenant and name, needs to connect to the broker.
        address: of this door, as devices reach it.
    """

    devices: Devices
    blobs: Blobs
    presigner: Presigner
    profiles: Mapping[str, HardwareProfile]
    repository: Path
    root: Callable[[], bytes]
    is_released: Callable[[str], bool]
    uploaded: Callable[[Upload], None]
    broker: Callable[[str, str], Broker]
    address: str
    clock: Callable[[], datetime]


def device_door(services: DeviceServices) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["devices"])
    bearer = HTTPBearer(auto_error=False)

    def who(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> Device:
        device = services.devices.by_secret(credentials.credentials) if credentials else None
        if device is None:
            raise ForbiddenError("this is no device of the fleet")
        return device

    @router.post("/enrol", status_code=201)
    async def enrol(request: Request) -> Response:
        """Make the device that an invitation allows, and tell it who it is."""
        body = await read_body(request, at_most=MAX_REQUEST_BYTES)
        identity = await run_in_threadpool(_enrol, services, body)
        return Response(encode_json(identity), 201, media_type="application/json")

    @router.get("/tuf/metadata/{name}")
    def metadata(name: str, _: Annotated[Device, Depends(who)]) -> FileResponse:
        """Return a metadata file of the update repository."""
        return _file(services.repository / "metadata", name, _METADATA)

    @router.get("/tuf/targets/{path:path}")
    def target(path: str, _: Annotated[Device, Depends(who)]) -> FileResponse:
        """Return a target of the update repository."""
        return _file(services.repository / "targets", path, _TARGET)

    @router.get("/blobs/sha256/{name}")
    def blob(name: str, request: Request, _: Annotated[Device, Depends(who)]) -> Response:
        """Return a file of a released bundle, or a part of it."""
        return _blob(services, name, request.headers.get("range"))

    @router.put("/samples", status_code=204)
    async def sample(  # noqa: PLR0917 (the query of a signed address)
        request: Request,
        tenant: str,
        device: str,
        digest: str,
        length_bytes: int,
        expires_s: int,
        signature: str,
    ) -> Response:
        """Take the sample that a signed address allows."""
        upload = Upload(
            tenant=tenant,
            device=device,
            digest=digest,
            length_bytes=length_bytes,
            expires_s=expires_s,
        )
        services.presigner.check(upload, signature, services.clock().timestamp())
        body = await read_body(request, at_most=min(length_bytes, MAX_SAMPLE_BYTES))
        await run_in_threadpool(_take_sample, services, upload, body)
        return Response(status_code=204)

    return router


def _enrol(services: DeviceServices, body: bytes) -> Identity:
    request = decode_json(EnrolmentRequest, body)
    root = services.root().decode()
    made = services.devices.enrol(request, profiles=services.profiles, now=services.clock())
    return Identity(
        tenant=made.tenant,
        device=made.device,
        profile=made.profile,
        secret=made.secret,
        cloud=services.address,
        broker=services.broker(made.tenant, made.device),
        root=root,
        deployments=made.deployments,
    )


def _file(folder: Path, name: str, allowed: re.Pattern[str]) -> FileResponse:
    """Answer with a file whose name cannot lead out of its folder."""
    path = folder / name
    if allowed.fullmatch(name) is None or not path.is_file():
        raise NotFoundError(f"there is no '{name[:100]}'")
    return FileResponse(path, media_type="application/json")


def _blob(services: DeviceServices, name: str, wanted: str | None) -> Response:
    full = f"sha256:{name}"
    if _HEX.fullmatch(name) is None or not services.is_released(full):
        raise NotFoundError(f"no released bundle has a file '{name[:64]}'")
    length_bytes = services.blobs.length_bytes(full)
    part = byte_range(wanted, length_bytes)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(part.end - part.start)}
    if part.unsatisfiable:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{length_bytes}"})
    if part.partial:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{length_bytes}"
    return StreamingResponse(
        _parts(services.blobs, full, part),
        206 if part.partial else 200,
        headers,
        "application/octet-stream",
    )


def _parts(blobs: Blobs, name: str, part: ByteRange) -> Iterator[bytes]:
    for start in range(part.start, part.end, PART_BYTES):
        yield blobs.part(name, start, min(start + PART_BYTES, part.end))


def _take_sample(services: DeviceServices, upload: Upload, body: bytes) -> None:
    if len(body) != upload.length_bytes:
        raise LimitExceededError(f"{len(body)} bytes, {upload.length_bytes} were offered")
    if digest(body) != upload.digest:
        raise DigestMismatchError("the bytes are not those that were offered")
    services.blobs.put(body)
    services.uploaded(upload)
