# SPDX-License-Identifier: Apache-2.0
"""The page that shows the API and lets one try it, from files of ours alone."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"


def show_docs(app: FastAPI) -> None:
    """Serve the page of the API at `/docs`."""

    @app.get("/docs", include_in_schema=False)
    def _docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html", media_type="text/html")

    app.mount("/docs/static", StaticFiles(directory=STATIC), name="docs")
