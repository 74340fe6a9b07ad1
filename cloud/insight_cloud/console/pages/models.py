# SPDX-License-Identifier: Apache-2.0
"""Models, their versions, and the evaluation of one."""

import re
from typing import Any

from fastapi import APIRouter, Request, Response

from insight_cloud.console.desk import Desk
from insight_cloud.console.forms import whole
from insight_cloud.console.model_view import (
    confusion_chart,
    headline,
    history_chart,
    metric_tiles,
    model_line,
)
from insight_cloud.console.navigation import Crumb
from insight_cloud.console.who import Viewer
from insight_cloud.evaluation.classification import ClassificationEvaluation
from insight_cloud.platform.errors import NotFoundError
from insight_cloud.registry.rules import ModelVersion
from insight_edge.documents.codec import decode_json
from insight_edge.errors import InsightEdgeError

EVALUATION = re.compile(r"evaluation.*\.json")
MODELS = Crumb("Models", "/models")


def models_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    registry, releases = desk.cloud.registry, desk.cloud.releases

    @router.get("/models")
    def models(request: Request, actor: Viewer) -> Response:
        published = releases.releases()
        lines = [
            model_line(registry.versions(name), registry.aliases(name), published)
            for name in registry.models()
        ]
        return desk.shell.page(
            request, actor, "models.html", section="models", title="Models", lines=lines,
            headline=headline,
        )  # fmt: skip

    @router.get("/models/{model}")
    def model_page(model: str, request: Request, actor: Viewer) -> Response:
        versions = registry.versions(model)
        published = releases.releases(model)
        if not versions and not published:
            raise NotFoundError(f"there is no model '{model[:80]}'")
        return desk.shell.page(
            request, actor, "model.html", section="models", title=model, crumbs=[MODELS],
            versions=tuple(reversed(versions)), aliases=registry.aliases(model),
            published=published, policy=releases.policy(model), headline=headline,
            history=history_chart(versions),
        )  # fmt: skip

    @router.get("/models/{model}/{number}")
    def version_page(model: str, number: str, request: Request, actor: Viewer) -> Response:
        version = registry.version(model, whole(number, "the version"))
        named = [name for name, one in registry.aliases(model).items() if one == version.number]
        mine = [one for one in releases.releases(model) if one.version == version.number]
        builds = [
            one
            for one in desk.cloud.builds.builds(model, tenant=actor.tenant)
            if one.version == version.number
        ]
        return desk.shell.page(
            request, actor, "version.html", section="models", title=version.label,
            crumbs=[MODELS, Crumb(model, f"/models/{model}")], version=version, named=named,
            published=mine, builds=builds, evaluations=_evaluations(desk, version),
            tiles=metric_tiles(version.metrics),
        )  # fmt: skip

    return router


def _evaluations(
    desk: Desk, version: ModelVersion
) -> list[tuple[str, ClassificationEvaluation, dict[str, Any]]]:
    """Return the evaluations that are of classes; those of other tasks have their metrics only."""
    found = []
    for artifact in version.artifacts:
        if not EVALUATION.fullmatch(artifact.name):
            continue
        try:
            data = desk.cloud.registry.artifact(version, artifact.name)
            evaluation = decode_json(ClassificationEvaluation, data)
        except InsightEdgeError:
            continue
        found.append((artifact.name, evaluation, confusion_chart(evaluation)))
    return found
