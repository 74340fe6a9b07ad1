# SPDX-License-Identifier: Apache-2.0
"""Releases over HTTP: list and look into bundles, publish, approve, revoke, who decides."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.platform.answers import refusals
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.releases.rules import Mode, Release, State
from insight_cloud.releases.service import Releases
from insight_cloud.releases.unpacking import MAX_BYTES, unpack
from insight_edge.documents.codec import to_plain
from insight_edge.errors import LimitExceededError

DIGEST = r"^sha256:[0-9a-f]{64}$"
Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
Admin = Annotated[Actor, Depends(need(Role.ADMIN))]
Digest = Annotated[
    str,
    InPath(pattern=DIGEST, description="Of its manifest.", examples=["sha256:" + "5f" * 32]),
]
ModelName = Annotated[str, InPath(max_length=100, examples=["digits"])]
Clock = Callable[[], datetime]


class ReleaseOut(BaseModel):
    """A bundle that was published."""

    model_config = ConfigDict(from_attributes=True)

    bundle: str = Field(description="Digest of its manifest.")
    model: str
    version: int
    profile: str = Field(description="The hardware that it is for.")
    length_bytes: int = Field(description="Of the manifest.")
    state: State
    decided_by: str | None = Field(description="Who approved or revoked it.")
    created: datetime
    changed: datetime


class ReleasesOut(BaseModel):
    """A page of releases, the newest first."""

    releases: list[ReleaseOut]
    total: int
    after: str | None = Field(description="Where the next page begins; null on the last.")


class ReleaseDetail(ReleaseOut):
    """A bundle that was published, with its manifest."""

    manifest: dict[str, Any]


class Policy(BaseModel):
    """Who decides that a new bundle is offered to devices."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode = Field(examples=["human"])


def router(releases: Releases, clock: Clock) -> APIRouter:
    """Return the routes."""
    made = APIRouter(prefix="/v1", tags=["releases"])
    _add_looking(made, releases)
    _add_publishing(made, releases, clock)
    _add_deciding(made, releases, clock)
    return made


def _add_looking(made: APIRouter, releases: Releases) -> None:
    @made.get("/releases", responses=refusals(404))
    def list_releases(
        _: Viewer,
        model: Annotated[str | None, Query(max_length=100)] = None,
        state: State | None = None,
        after: Annotated[str | None, Query(pattern=DIGEST)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> ReleasesOut:
        """List the bundles that were published, the newest first."""
        found = [one for one in releases.releases(model) if state in {None, one.state}]
        start = 0 if after is None else _place(found, after) + 1
        shown = [ReleaseOut.model_validate(one) for one in found[start : start + limit]]
        following = shown[-1].bundle if len(found) > start + limit else None
        return ReleasesOut(releases=shown, total=len(found), after=following)

    @made.get("/releases/{bundle}", responses=refusals(404))
    def release(_: Viewer, bundle: Digest) -> ReleaseDetail:
        """Return a bundle that was published, with its manifest."""
        found = ReleaseOut.model_validate(releases.release(bundle))
        return ReleaseDetail(**found.model_dump(), manifest=to_plain(releases.manifest(bundle)))

    @made.get(
        "/releases/{bundle}/files/{name}",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/octet-stream": {}}}, **refusals(404)},
    )
    def file(
        _: Viewer,
        bundle: Digest,
        name: Annotated[str, InPath(max_length=100, examples=["evidence.json"])],
    ) -> StreamingResponse:
        """Return a file of a bundle: `manifest.json`, `evidence.json` or what they name."""
        length_bytes, digest, parts = releases.file_parts(bundle, name)
        headers = {
            "Content-Length": str(length_bytes),
            "Content-Disposition": f'attachment; filename="{name}"',
            "ETag": f'"{digest}"',
        }
        return StreamingResponse(parts, 200, headers, "application/octet-stream")


def _add_publishing(made: APIRouter, releases: Releases, clock: Clock) -> None:
    body = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}

    @made.post(
        "/releases",
        status_code=201,
        responses=refusals(409, 413),
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )
    async def publish(actor: Operator, request: Request) -> ReleaseOut:
        """Sign a bundle, a zip of its files, and offer it to the devices of its profile."""
        with tempfile.TemporaryFile() as packed:
            await _receive(request, packed)
            made_of = await run_in_threadpool(_publish, releases, packed, actor.name, clock())
        return ReleaseOut.model_validate(made_of)


def _add_deciding(made: APIRouter, releases: Releases, clock: Clock) -> None:
    @made.post("/releases/{bundle}/approve", responses=refusals(404, 409))
    def approve(actor: Operator, bundle: Digest) -> ReleaseOut:
        """Offer a bundle that waits for a person."""
        done = releases.approve(bundle, by=actor.name, now=clock())
        return ReleaseOut.model_validate(done)

    @made.post("/releases/{bundle}/revoke", responses=refusals(404))
    def revoke(actor: Operator, bundle: Digest) -> ReleaseOut:
        """Let no device install a bundle any more; those that serve it go on."""
        return ReleaseOut.model_validate(releases.revoke(bundle, by=actor.name, now=clock()))

    @made.get("/models/{model}/policy", responses=refusals())
    def policy(_: Viewer, model: ModelName) -> Policy:
        """Return who decides that a new bundle of a model is offered."""
        return Policy(mode=releases.policy(model))

    @made.put("/models/{model}/policy", responses=refusals())
    def set_policy(actor: Admin, model: ModelName, wanted: Policy) -> Policy:
        """Say who decides from now on; what waits goes on waiting."""
        releases.set_policy(model, wanted.mode, now=clock(), by=actor.name)
        return wanted


def _place(found: list[Release], bundle: str) -> int:
    for place, one in enumerate(found):
        if one.bundle == bundle:
            return place
    raise NotFoundError(f"{bundle} is not in this list")


async def _receive(request: Request, packed: IO[bytes]) -> None:
    length_bytes = 0
    async for part in request.stream():
        length_bytes += len(part)
        if length_bytes > MAX_BYTES:
            raise LimitExceededError(f"the upload is longer than {MAX_BYTES} bytes")
        await run_in_threadpool(packed.write, part)


def _publish(releases: Releases, packed: IO[bytes], by: str, now: datetime) -> Release:
    with tempfile.TemporaryDirectory() as folder:
        unpack(packed, Path(folder))
        return releases.publish(Path(folder), now=now, by=by)
