# SPDX-License-Identifier: Apache-2.0
"""One bundle: its variants, the evidence they were chosen by, and whether devices may have it."""

from typing import Any

from fastapi import APIRouter, Request, Response

from insight_cloud.console.bundle_view import latency_chart, trial_lines, trial_of, winner_of
from insight_cloud.console.challenge_view import challenge_lines
from insight_cloud.console.desk import Desk, label_of
from insight_cloud.console.forms import Filled
from insight_cloud.console.navigation import Crumb
from insight_cloud.console.shell import go_to
from insight_cloud.console.who import Operator, Viewer
from insight_cloud.devices.device import Query
from insight_cloud.jobs.job import Terms
from insight_cloud.jobs.rules import AT_MOST
from insight_cloud.platform.errors import ConflictError
from insight_cloud.releases.rules import State
from insight_edge.documents.codec import decode_json
from insight_edge.documents.evidence import Evidence
from insight_edge.documents.manifest import Manifest

JOBS = 5


def bundle_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()
    releases = desk.cloud.releases

    @router.get("/bundles/{bundle}")
    def bundle_page(bundle: str, request: Request, actor: Viewer) -> Response:
        view = _view(desk, bundle, actor.tenant)
        release = releases.release(bundle)
        crumbs = [Crumb("Models", "/models"), Crumb(release.model, f"/models/{release.model}")]
        if release.version:
            address = f"/models/{release.model}/{release.version}"
            crumbs.append(Crumb(label_of(release), address))
        title = f"{label_of(release)} for {release.profile}"
        return desk.shell.page(
            request, actor, "bundle.html", section="models", title=title, crumbs=crumbs, **view
        )

    @router.post("/bundles/{bundle}/approve")
    def approve(bundle: str, actor: Operator) -> Response:
        releases.approve(bundle, by=actor.name, now=desk.shell.now())
        return go_to(f"/bundles/{bundle}", "Devices may install it now.")

    @router.post("/bundles/{bundle}/revoke")
    def revoke(bundle: str, form: Filled, actor: Operator) -> Response:
        if form.text("confirm") != "revoke":
            raise ConflictError("the word typed is not 'revoke'; nothing was done")
        releases.revoke(bundle, by=actor.name, now=desk.shell.now())
        return go_to(f"/bundles/{bundle}", "No device installs it any more.")

    return router


def _view(desk: Desk, bundle: str, tenant: str) -> dict[str, Any]:
    cloud = desk.cloud
    release = cloud.releases.release(bundle)
    manifest = decode_json(Manifest, cloud.blobs.get(bundle))
    evidence = decode_json(Evidence, cloud.blobs.get(f"sha256:{manifest.evidence.sha256}"))
    winner = winner_of(manifest)
    trial = None if winner is None else trial_of(evidence, winner.target.token)
    serving = cloud.devices.devices(Query(serving=bundle), limit=1, tenant=tenant)
    return {
        "release": release,
        "manifest": manifest,
        "evidence": evidence,
        "winner": winner,
        "trial": trial,
        "lines": trial_lines(evidence),
        "latencies": latency_chart(evidence.trials),
        "serving": serving.total,
        "labels": desk.labels(),
        "challenges": challenge_lines(cloud.telemetry.challenged(bundle=bundle, tenant=tenant)),
        "jobs": cloud.jobs.list(bundle=bundle, limit=JOBS, tenant=tenant),
        "measurable": [(bundle, label_of(release))] if release.state is State.LISTED else [],
        "terms": Terms(),
        "at_most": AT_MOST,
    }
