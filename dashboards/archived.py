"""The port over `grafana-api`, archived upstream in 2022 and still in use at some sites."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from dashboards.adapter import LibraryGrafana
from dashboards.address import Address
from dashboards.grafana import GrafanaError

_FIRST_ERROR_STATUS = 400
_NO_CONTENT = 204


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _NoContent(Exception):
    pass


def _inspect(response: Any, *_: Any, **__: Any) -> None:
    """A hook on the library's session, run before the library reads the answer.

    The library looks for the word "message" in an error's body: in an HTML page that holds it,
    that raises TypeError and the status is lost. And it reads 204 as JSON, which has no body.
    """
    if response.status_code == _NO_CONTENT:
        raise _NoContent
    if response.status_code < _FIRST_ERROR_STATUS:
        return
    try:
        body = response.json()
    except ValueError:
        body = None
    said = body.get("message", "") if isinstance(body, dict) else ""
    raise _Refused(response.status_code, str(said))


class _Annotations:
    """`add_annotation` of the newer library, without the null ids that the older one sends."""

    def __init__(self, verbs: Any) -> None:
        self._verbs = verbs

    def add_annotation(self, time_from: int, tags: Sequence[str], text: str) -> Any:
        body = {"time": time_from, "tags": list(tags), "text": text}
        return self._verbs.POST("/annotations", json=body)


class _Resources:
    def __init__(self, library: Any) -> None:
        self.folder = library.folder
        self.dashboard = library.dashboard
        self.annotations = _Annotations(library.api)


class ArchivedGrafana(LibraryGrafana):
    """Raises ImportError if grafana-api is not installed."""

    def __init__(self, address: Address, token: str, timeout_s: float) -> None:
        face = importlib.import_module("grafana_api.grafana_face")
        self._http_errors = importlib.import_module("requests.exceptions")
        library = face.GrafanaFace(
            auth=token,
            host=address.host,
            port=address.port,
            protocol=address.protocol,
            url_path_prefix=address.path_prefix,
            timeout=timeout_s,
        )
        library.api.s.hooks["response"].append(_inspect)
        super().__init__(address, token, _Resources(library), library.api)

    def _call(self, what: str, request: Callable[[], Any]) -> Any:
        def answer_or_none() -> Any:
            try:
                return request()
            except _NoContent:
                return None

        return super()._call(what, answer_or_none)

    def _translate(self, what: str, error: Exception) -> GrafanaError:
        if isinstance(error, _Refused):
            return self._for_status(what, error.status, error.message)
        if isinstance(error, self._http_errors.RequestException) and not isinstance(error, ValueError):
            return self._unavailable(what, error)
        return self._final(what, error)
