"""The live page."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles


class Modules(StaticFiles):
    """The page's files, asked after at every use: after an upgrade no browser may mix old modules with new ones."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add(app: FastAPI) -> None:
    static = files("monitor.serving").joinpath("static")
    index = static.joinpath("index.html").read_text(encoding="utf-8")
    app.mount("/static", Modules(packages=[("monitor.serving", "static")]), name="static")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        """The live page."""
        return index
