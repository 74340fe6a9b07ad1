# SPDX-License-Identifier: Apache-2.0
"""The audit trail: what was changed, by whom, filtered, a page at a time."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from insight_cloud.accounts.audit import Trail
from insight_cloud.console.desk import Desk
from insight_cloud.console.shell import is_partial
from insight_cloud.console.who import Operator

PAGE = 100
MAX_TEXT = 200
FILTERS = ("by", "action", "subject")


def audit_pages(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = desk.router()

    @router.get("/audit")
    def audit(request: Request, actor: Operator) -> Response:
        view = _view(desk, request, actor.tenant)
        if is_partial(request):
            text = desk.shell.fragment("audit_rows.html", actor, **view)
            return HTMLResponse(text, headers={"Vary": "HX-Request"})
        return desk.shell.page(request, actor, "audit.html", section="audit", title="Audit", **view)

    return router


def _view(desk: Desk, request: Request, tenant: str) -> dict[str, Any]:
    given = {name: request.query_params.get(name, "").strip()[:MAX_TEXT] for name in FILTERS}
    chosen = {name: value for name, value in given.items() if value}
    after = request.query_params.get("after", "")[:64] or None
    entries = desk.cloud.accounts.audit(Trail(**chosen), after=after, limit=PAGE + 1, tenant=tenant)
    shown = entries[:PAGE]
    more = len(entries) > PAGE
    older = "/audit?" + urlencode(chosen | {"after": shown[-1].id}) if more else None
    newest = "/audit?" + urlencode(chosen) if after else None
    return {"entries": shown, "chosen": given, "older": older, "newest": newest}
