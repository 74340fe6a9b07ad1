# SPDX-License-Identifier: Apache-2.0
"""Drift: alarms, every watched bundle, and one bundle feature by feature and window by window."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from insight_cloud.console.desk import Desk
from insight_cloud.console.drift_view import (
    accuracy_chart,
    accuracy_of,
    change_text,
    feature_kind,
    heat_chart,
    heat_lines,
    score_chart,
    steps_of,
    verdict_tag,
)
from insight_cloud.console.forms import Filled, whole
from insight_cloud.console.navigation import Crumb
from insight_cloud.console.shell import go_to
from insight_cloud.console.who import Operator, Viewer
from insight_cloud.monitoring.alarm import WindowAssessment

WINDOWS = 24
CLOSED = 20


def drift_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    monitoring = desk.cloud.monitoring

    @router.get("/drift")
    def drift(request: Request, actor: Viewer) -> Response:
        model = request.query_params.get("model", "")[:63] or None
        return desk.shell.page(
            request,
            actor,
            "drift.html",
            section="drift",
            title="Drift",
            alarms=monitoring.alarms(is_open=True, tenant=actor.tenant),
            closed=monitoring.alarms(is_open=False, limit=CLOSED, tenant=actor.tenant),
            latest=_latest(desk, model, actor.tenant),
            labels=desk.labels(),
            verdict_tag=verdict_tag,
        )

    @router.get("/drift/{bundle}")
    def bundle_drift(bundle: str, request: Request, actor: Viewer) -> Response:
        view = _view(desk, bundle, actor.tenant)
        name = desk.labels().get(bundle)
        return desk.shell.page(
            request,
            actor,
            "bundle_drift.html",
            section="drift",
            title=f"Drift of {name}" if name else "Drift of an unknown bundle",
            crumbs=[Crumb("Drift", "/drift")],
            **view,
        )

    @router.post("/alarms/{number}/acknowledge")
    def acknowledge(number: str, form: Filled, actor: Operator) -> Response:
        alarm = monitoring.acknowledge(
            whole(number, "the alarm"),
            reason=form.needed("reason", "the reason"),
            by=actor.name,
            now=desk.shell.now(),
            tenant=actor.tenant,
        )
        return go_to(f"/drift/{alarm.bundle}", f"Alarm {alarm.id} is closed.")

    return router


def _latest(desk: Desk, model: str | None, tenant: str) -> list[WindowAssessment]:
    """Return the newest assessed window of every bundle, the newest first."""
    found = []
    for bundle in desk.cloud.telemetry.segmented(tenant=tenant):
        newest = desk.cloud.monitoring.assessments(bundle, limit=1, tenant=tenant)
        found += [one for one in newest if model is None or one.model == model]
    return sorted(found, key=lambda one: one.assessed, reverse=True)


def _view(desk: Desk, bundle: str, tenant: str) -> dict[str, Any]:
    monitoring = desk.cloud.monitoring
    heat = monitoring.heatmap(bundle, limit=WINDOWS, tenant=tenant)
    newest = monitoring.assessments(bundle, limit=1, tenant=tenant)
    alarms = monitoring.alarms(is_open=None, tenant=tenant)
    since_s, each_s = steps_of(heat, desk.shell.now().timestamp())
    since = datetime.fromtimestamp(since_s, UTC)
    steps = desk.cloud.telemetry.joined(bundle, since, each_s=each_s, tenant=tenant)
    return {
        "bundle": bundle,
        "known": bundle in desk.labels(),
        "window": newest[0] if newest else None,
        "heat": heat,
        "chart": heat_chart(heat),
        "scores": score_chart(heat),
        "lines": heat_lines(heat),
        "alarms": [one for one in alarms if one.bundle == bundle],
        "since": since,
        "accuracy": accuracy_of(steps),
        "accuracies": accuracy_chart(steps),
        "verdict_tag": verdict_tag,
        "feature_kind": feature_kind,
        "change_text": change_text,
    }
