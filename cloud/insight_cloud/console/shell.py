# SPDX-License-Identifier: Apache-2.0
"""What all pages share: the templates, the frame around a page, and what is said beside it.

Everything that is written into a template is escaped; no template has a script or a style.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from insight_cloud.accounts.door import Actor, Role
from insight_cloud.console import words
from insight_cloud.console.assets import Assets
from insight_cloud.console.navigation import GROUPS, Crumb
from insight_cloud.console.tags import tag_of

TEMPLATES = Path(__file__).parent / "templates"
THEMES = ("light", "dark")
MAX_SAID = 300
"""Characters of what a page says of the last change."""


class Shell:
    """Renders pages; threads may share it.

    Args:
        assets: that pages refer to.
        clock: says when a page is made.
    """

    def __init__(self, assets: Assets, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "absolute": words.absolute,
            "short": words.short,
            "size": words.size,
            "figure": words.figure,
            "percent": words.percent,
            "milliseconds": words.milliseconds,
            "span": words.span,
            "part": lambda text: quote(str(text), safe=""),
        }
        self._environment.globals |= {
            "asset": assets.address,
            "groups": GROUPS,
            "Role": Role,
            "moment_of": words.moment_of,
            "tag_of": tag_of,
            "actor_may": _may,
        }

    def now(self) -> datetime:
        """Return the moment by which pages are made."""
        return self._clock()

    def page(
        self,
        request: Request,
        actor: Actor,
        template: str,
        *,
        section: str,
        title: str,
        crumbs: Sequence[Crumb] = (),
        **view: Any,
    ) -> HTMLResponse:
        """Return a page in its frame."""
        frame = {
            "actor": actor,
            "section": section,
            "title": title,
            "crumbs": crumbs,
            "said": request.query_params.get("said", "")[:MAX_SAID],
        }
        return HTMLResponse(self._render(request, template, frame | view))

    def alone(
        self, request: Request, template: str, *, status: int = 200, **view: Any
    ) -> HTMLResponse:
        """Return a page without the frame, for whoever is not signed in or is lost."""
        return HTMLResponse(self._render(request, template, view), status)

    def fragment(self, template: str, actor: Actor, **view: Any) -> str:
        """Return a part of a page that stays the same for as long as what it tells does.

        Its times are absolute therefore; the browser makes them relative.
        """
        text = self._environment.get_template(template)
        return text.render(now=self.now(), relative=words.absolute, actor=actor, **view)

    def notice(self, title: str, line: str, hint: str | None) -> str:
        """Return a fault as a part of a page."""
        text = self._environment.get_template("fault_part.html")
        return text.render(title=title, line=line, hint=hint)

    def _render(self, request: Request, template: str, view: dict[str, Any]) -> str:
        now = self.now()
        theme = request.cookies.get("theme")
        text = self._environment.get_template(template)
        return text.render(
            now=now, relative=_since(now), theme=theme if theme in THEMES else None, **view
        )


def is_partial(request: Request) -> bool:
    """Return whether only a part of the page is asked for."""
    return request.headers.get("hx-request") == "true"


def go_to(address: str, said: str | None = None) -> RedirectResponse:
    """Return the way to another page after a form, and what that page says of it."""
    if said is not None:
        address += ("&" if "?" in address else "?") + urlencode({"said": said[:MAX_SAID]})
    return RedirectResponse(address, 303)


def _since(now: datetime) -> Callable[[datetime], str]:
    return lambda moment: words.relative(moment, now)


def _may(actor: Actor, role: Role) -> bool:
    return actor.role.allows(role)
