"""Who the service takes the caller for."""

from __future__ import annotations

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from monitor.http_settings import Role
from monitor.serving.auth import EVERYBODY, Caller


class Me(BaseModel):
    name: str = Field(
        description='Under which all that is done is noted, whatever an order\'s `by` says; "" where `by` is noted, '
        "since nobody in particular holds the token, or there is none."
    )
    role: Role


def add(app: FastAPI) -> None:
    @app.get("/api/me")
    def me(request: Request) -> Me:
        """Name and role of whoever asks."""
        caller = getattr(request.state, "access", EVERYBODY)
        assert isinstance(caller, Caller)
        return Me(name=caller.name, role=caller.role)
