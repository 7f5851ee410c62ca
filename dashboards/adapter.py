"""What both Grafana libraries have in common: the port over the calls that they share.

`grafana-client` is a fork of `grafana-api`, so the resource methods and their keywords match. Two
calls go through the library's plain HTTP verbs, because the resource methods cannot be used:
- looking for an annotation: both put tags into the query unescaped, and grafana-api's filter by
  type raises TypeError;
- ending a region: grafana-client's `partial_update_annotation` sends `tags: []`, on which Grafana
  removes the region's tags.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from dashboards.address import Address
from dashboards.grafana import (
    ALERT_TAG,
    GrafanaError,
    GrafanaRejected,
    GrafanaUnavailable,
    PushOutcome,
)

_RETRYABLE_CLIENT_ERRORS = frozenset({408, 429})
_NOT_FOUND = 404
_FOLDER_EXISTS = frozenset({409, 412})
_SERVER_ERROR = 500
_MESSAGE_CHARS = 300
# What Grafana changes in a stored dashboard by itself.
_SERVER_OWNED_KEYS = frozenset({"id", "version"})


class LibraryGrafana(ABC):
    """The port `GrafanaClient` over one library; a subclass knows its transport and exceptions.

    `resources` is the library's top object (with .folder, .dashboard, .annotations), `verbs` its
    HTTP object (with .GET(path), .POST(path, json=), .PATCH(path, json=)). Both are untyped.
    """

    def __init__(self, address: Address, token: str, resources: Any, verbs: Any) -> None:
        self._address = address
        self._token = token
        self._resources = resources
        self._verbs = verbs

    @abstractmethod
    def _translate(self, what: str, error: Exception) -> GrafanaError:
        """The port's error for one that the library raised."""

    def health(self) -> str:
        answer = self._mapping("asking for its health", lambda: self._verbs.GET("/health"))
        return str(answer.get("version", "unknown"))

    def ensure_folder(self, uid: str, title: str) -> bool:
        path_uid = quote(uid, safe="")
        try:
            self._mapping(f"folder {uid}", lambda: self._resources.folder.get_folder(path_uid))
        except GrafanaRejected as error:
            if error.status != _NOT_FOUND:
                raise
        else:
            return False
        try:
            self._call(
                f"creating folder {uid}",
                lambda: self._resources.folder.create_folder(title, uid=uid),
            )
        except GrafanaRejected as error:
            # Someone else made it between the two calls.
            if error.status in _FOLDER_EXISTS:
                return False
            raise
        return True

    def push_dashboard(self, dashboard: Mapping[str, Any], folder_uid: str) -> PushOutcome:
        uid = dashboard.get("uid")
        if not isinstance(uid, str) or not uid:
            raise GrafanaRejected("a dashboard needs the key 'uid' to be pushed over itself")
        stored = self._stored_dashboard(uid)
        if stored is not None and _same_dashboard(stored, dashboard, folder_uid):
            return "unchanged"
        payload = {
            "dashboard": {**dashboard, "id": None},
            "folderUid": folder_uid,
            "overwrite": True,
            "message": "pushed by linewatch",
        }
        self._call(
            f"saving dashboard {uid}",
            lambda: self._resources.dashboard.update_dashboard(payload),
        )
        return "created" if stored is None else "updated"

    def find_annotation(self, tag: str) -> int | None:
        wanted = {"type": "annotation", "tags": tag, "limit": "100"}
        query = urlencode(wanted, quote_via=quote)
        found = self._call("looking for an annotation", lambda: self._verbs.GET(f"/annotations?{query}"))
        if not isinstance(found, list):
            raise self._not_grafana("looking for an annotation")
        # Grafana matches the tag already; a proxy that drops the query would not.
        ids = [
            entry["id"]
            for entry in found
            if isinstance(entry, dict) and isinstance(entry.get("id"), int) and tag in (entry.get("tags") or ())
        ]
        return min(ids, default=None)

    def open_region(self, time_ms: int, tags: Sequence[str], text: str) -> int:
        for tag in tags:
            if tag.startswith(ALERT_TAG):
                known = self.find_annotation(tag)
                if known is not None:
                    return known
        what = "posting an annotation"
        answer = self._mapping(
            what,
            lambda: self._resources.annotations.add_annotation(time_from=time_ms, tags=list(tags), text=text),
        )
        annotation_id = answer.get("id")
        if not isinstance(annotation_id, int):
            raise self._not_grafana(what)
        return annotation_id

    def close_region(self, annotation_id: int, time_end_ms: int) -> None:
        self._call(
            f"ending annotation {annotation_id}",
            lambda: self._verbs.PATCH(f"/annotations/{annotation_id}", json={"timeEnd": time_end_ms}),
        )

    def close(self) -> None:
        self._verbs.s.close()

    def _stored_dashboard(self, uid: str) -> Mapping[str, Any] | None:
        path_uid = quote(uid, safe="")
        try:
            return self._mapping(
                f"reading dashboard {uid}",
                lambda: self._resources.dashboard.get_dashboard(path_uid),
            )
        except GrafanaRejected as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _call(self, what: str, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except GrafanaError:
            raise
        except Exception as error:
            # `from None`: a chained exception of an HTTP library may print headers.
            raise self._translate(what, error) from None

    def _mapping(self, what: str, request: Callable[[], Any]) -> Mapping[str, Any]:
        answer = self._call(what, request)
        if not isinstance(answer, dict):
            raise self._not_grafana(what)
        return answer

    def _not_grafana(self, what: str) -> GrafanaRejected:
        return GrafanaRejected(
            f"Grafana at {self._address}: {what}: the answer is not what Grafana answers; "
            "check that grafana.url leads to Grafana itself and not to a login page or proxy"
        )

    def _for_status(self, what: str, status: int, message: str) -> GrafanaError:
        """The error for an HTTP status of 400 or more; `message` is the server's, untrusted."""
        said = " ".join(message.replace(self._token, "[token]").split())[:_MESSAGE_CHARS]
        told = f"Grafana at {self._address}: {what}: HTTP {status}" + (f": {said}" if said else "")
        if status >= _SERVER_ERROR or status in _RETRYABLE_CLIENT_ERRORS:
            return GrafanaUnavailable(told)
        if status in (401, 403):
            told += " (check that grafana.token is valid and has the role Editor)"
        return GrafanaRejected(told, status)

    def _unavailable(self, what: str, error: Exception) -> GrafanaUnavailable:
        return GrafanaUnavailable(f"Grafana at {self._address}: {what}: no answer ({type(error).__name__})")

    def _final(self, what: str, error: Exception) -> GrafanaRejected:
        return GrafanaRejected(
            f"Grafana at {self._address}: {what}: the answer could not be used "
            f"({type(error).__name__}); check that grafana.url leads to Grafana"
        )


def _same_dashboard(stored: Mapping[str, Any], dashboard: Mapping[str, Any], folder_uid: str) -> bool:
    meta, model = stored.get("meta"), stored.get("dashboard")
    if not isinstance(meta, dict) or not isinstance(model, dict):
        return False
    return meta.get("folderUid") == folder_uid and _own_keys(model) == _own_keys(dashboard)


def _own_keys(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in dashboard.items() if key not in _SERVER_OWNED_KEYS}
