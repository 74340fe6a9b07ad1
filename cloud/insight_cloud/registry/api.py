# SPDX-License-Identifier: Apache-2.0
"""The registry over HTTP: models, versions, aliases, and the files of a version."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from insight_cloud.accounts.door import Actor, Role, need
from insight_cloud.platform.answers import refusals
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.registry.rules import ModelVersion
from insight_cloud.registry.service import Registry

MAX_NUMBER = 2**53
Viewer = Annotated[Actor, Depends(need(Role.VIEWER))]
Operator = Annotated[Actor, Depends(need(Role.OPERATOR))]
ModelName = Annotated[str, Path(max_length=63, examples=["digits"])]
Which = Annotated[
    str, Path(max_length=63, description="A number or an alias.", examples=["3", "production"])
]
Limit = Annotated[int, Query(ge=1, le=500)]


class ModelOut(BaseModel):
    """A model."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    task: str
    created: datetime
    versions: int = Field(description="How many; the number of the newest too.")


class ModelsOut(BaseModel):
    """A page of models in the order of their names."""

    models: list[ModelOut]
    after: str | None = Field(description="Where the next page begins; null on the last.")


class ArtifactOut(BaseModel):
    """A file of a version."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["model.onnx"])
    digest: str
    length_bytes: int


class VersionOut(BaseModel):
    """One training of a model; nothing of it ever changes."""

    model_config = ConfigDict(from_attributes=True)

    model: str
    number: int
    task: str
    digest: str = Field(description="Of the source model.")
    metrics: dict[str, float | None]
    artifacts: list[ArtifactOut]
    created: datetime


class VersionsOut(BaseModel):
    """A page of versions, the first one first."""

    versions: list[VersionOut]
    after: int | None = Field(description="Where the next page begins; null on the last.")


class AliasIn(BaseModel):
    """What an alias names."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, lt=MAX_NUMBER, examples=[3])


def router(registry: Registry, clock: Callable[[], datetime]) -> APIRouter:
    """Return the routes."""
    made = APIRouter(prefix="/v1/models", tags=["models"])
    _add_versions(made, registry)
    _add_aliases(made, registry, clock)
    return made


def _add_versions(made: APIRouter, registry: Registry) -> None:
    @made.get("", responses=refusals())
    def models(
        _: Viewer,
        after: Annotated[str | None, Query(max_length=63)] = None,
        limit: Limit = 100,
    ) -> ModelsOut:
        """List models in the order of their names."""
        found = registry.overview(after=after, limit=limit + 1)
        shown = [ModelOut.model_validate(one) for one in found[:limit]]
        return ModelsOut(models=shown, after=shown[-1].name if len(found) > limit else None)

    @made.get("/{model}/versions", responses=refusals())
    def versions(
        _: Viewer,
        model: ModelName,
        after: Annotated[int, Query(ge=0, lt=MAX_NUMBER)] = 0,
        limit: Limit = 100,
    ) -> VersionsOut:
        """List the versions of a model, the first one first."""
        found = registry.versions(model, after=after, limit=limit + 1)
        shown = [VersionOut.model_validate(one) for one in found[:limit]]
        return VersionsOut(versions=shown, after=shown[-1].number if len(found) > limit else None)

    @made.get("/{model}/versions/{which}", responses=refusals(404))
    def version(_: Viewer, model: ModelName, which: Which) -> VersionOut:
        """Return a version by its number or by an alias."""
        return VersionOut.model_validate(_version(registry, model, which))

    @made.get(
        "/{model}/versions/{which}/artifacts/{name}",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/octet-stream": {}}}, **refusals(404)},
    )
    def artifact(
        _: Viewer,
        model: ModelName,
        which: Which,
        name: Annotated[str, Path(max_length=63, examples=["model.onnx"])],
    ) -> StreamingResponse:
        """Return a file of a version; its digest is the `ETag`."""
        found, parts = registry.artifact_parts(_version(registry, model, which), name)
        headers = {
            "Content-Length": str(found.length_bytes),
            "Content-Disposition": f'attachment; filename="{found.name}"',
            "ETag": f'"{found.digest}"',
        }
        return StreamingResponse(parts, 200, headers, "application/octet-stream")


def _add_aliases(made: APIRouter, registry: Registry, clock: Callable[[], datetime]) -> None:
    @made.get("/{model}/aliases", responses=refusals())
    def aliases(_: Viewer, model: ModelName) -> dict[str, int]:
        """Return the version that each alias of a model names."""
        return registry.aliases(model)

    @made.put("/{model}/aliases/{alias}", responses=refusals(404))
    def assign(
        actor: Operator,
        model: ModelName,
        alias: Annotated[str, Path(max_length=63, examples=["production"])],
        wanted: AliasIn,
    ) -> dict[str, int]:
        """Make an alias name a version, whatever it named before; return all aliases."""
        registry.assign_alias(model, alias, wanted.version, now=clock(), by=actor.name)
        return registry.aliases(model)


def _version(registry: Registry, model: str, which: str) -> ModelVersion:
    if not (which.isascii() and which.isdigit()):
        return registry.version(model, which)
    if len(which) > 15:
        raise NotFoundError(f"there is no version {model}:{which}")
    return registry.version(model, int(which))
