"""What the fence answers, in the OpenAPI document of every operation."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from monitor.serving.roles import OPEN

_PROBLEM: Final[dict[str, Any]] = {
    "content": {"application/json": {"schema": {"type": "object", "properties": {"detail": {"type": "string"}}}}}
}
ALWAYS: Final = {
    "414": "Path and query are longer than 8 kB.",
    "421": "The service does not answer under this name: http.allowed_hosts.",
    "429": "Too many requests from this address; Retry-After says when there may be more.",
}
WITH_TOKEN: Final = {
    "401": "No token, or a wrong one.",
    "403": "The token's role does not include this, or another site's page sent it.",
}
WITH_BODY: Final = {"400": "The body cannot be read.", "413": "The body is too long."}


def describe(app: FastAPI) -> None:
    """Complete the document when it is first asked for, with the routes that there are by then."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _complete(operation, has_token=path not in OPEN)
            fault = document.get("components", {}).get("schemas", {}).get("HTTPValidationError")
            if fault is not None:
                # What only a route can tell is told as one text.
                detail = fault["properties"]["detail"]
                fault["properties"]["detail"] = {"anyOf": [detail, {"type": "string"}], "title": "Detail"}
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any], *, has_token: bool) -> None:
    refusals = ALWAYS | (WITH_TOKEN if has_token else {}) | (WITH_BODY if "requestBody" in operation else {})
    answers = operation["responses"]
    for status, why in refusals.items():
        answers.setdefault(status, {"description": why, **_PROBLEM})
