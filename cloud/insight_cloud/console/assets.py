# SPDX-License-Identifier: Apache-2.0
"""The console's files that never change under their address: it has their digest in it."""

import hashlib
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from insight_cloud.platform.errors import NotFoundError

STATIC = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Assets:
    """Every style sheet, script and picture, read once."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._addresses: dict[str, str] = {}
        self._files: dict[str, tuple[bytes, str]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix in _TYPES:
                self._add(path)

    def address(self, name: str) -> str:
        """Return where a file of this name is served.

        Raises:
            KeyError: there is none.
        """
        return self._addresses[name]

    def file(self, place: str) -> tuple[bytes, str]:
        """Return content and media type of a file by the end of its address.

        Raises:
            NotFoundError: there is none, or no longer.
        """
        try:
            return self._files[place]
        except KeyError as error:
            raise NotFoundError(f"there is no file '{place[:100]}'") from error

    def _add(self, path: Path) -> None:
        content = path.read_bytes()
        place = f"{hashlib.sha256(content).hexdigest()[:16]}/{path.name}"
        self._addresses[path.name] = f"/static/{place}"
        self._files[place] = content, _TYPES[path.suffix]


def static_files(assets: Assets) -> APIRouter:
    """Return the routes of the files; nobody has to be signed in for them."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{place:path}")
    def static_file(place: str) -> Response:
        content, media_type = assets.file(place)
        return Response(content, media_type=media_type, headers={"Cache-Control": FOREVER})

    @router.get("/favicon.ico")
    def favicon() -> Response:
        content, media_type = assets.file(assets.address("favicon.svg").removeprefix("/static/"))
        return Response(content, media_type=media_type)

    return router
