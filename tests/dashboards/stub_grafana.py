"""A small Grafana over HTTP that keeps state, and misbehaves when told to."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "glsa_stub_0123456789"


@dataclass
class Fault:
    """What the next request gets instead of an answer; `delay_s` before it."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html"
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class StubGrafana:
    """Follows Grafana where linewatch leans on it: the semantics of tags, PATCH and versions."""

    url: str = ""
    version: str = "11.6.0"
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    hide_folders: int = 0

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        result: tuple[int, Any] = (404, {"message": "Not found"})
        match [method, *unquote(parts.path).strip("/").split("/")]:
            case ["GET", "api", "health"]:
                result = 200, {"database": "ok", "version": self.version}
            case ["GET", "api", "annotations"]:
                result = 200, self._find(query)
            case ["POST", "api", "annotations"] if not body.get("text"):
                result = 400, {"message": "Failed to save annotation"}
            case ["POST", "api", "annotations"]:
                result = 200, self._post_annotation(body)
            case ["PATCH", "api", "annotations", identity]:
                result = self._patch_annotation(int(identity), body)
            case ["GET", "api", "folders", uid]:
                result = self._get_folder(uid)
            case ["POST", "api", "folders"]:
                result = self._post_folder(body)
            case ["GET", "api", "dashboards", "uid", uid] if uid in self.dashboards:
                result = 200, self.dashboards[uid]
            case ["POST", "api", "dashboards", "db"]:
                result = self._post_dashboard(body)
        return result

    def _find(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        wanted = set(query.get("tags", []))
        found = [item for item in self.annotations.values() if wanted <= set(item["tags"])]
        found.sort(key=lambda item: item["timeEnd"], reverse=True)
        return found[: int(query.get("limit", ["100"])[0])]

    def _post_annotation(self, body: Any) -> dict[str, Any]:
        identity = len(self.annotations) + 1
        end = body.get("timeEnd") or body["time"]
        self.annotations[identity] = {
            "id": identity,
            "time": body["time"],
            "timeEnd": end,
            "tags": body.get("tags") or [],
            "text": body["text"],
        }
        return {"id": identity, "message": "Annotation added"}

    def _patch_annotation(self, identity: int, body: Any) -> tuple[int, Any]:
        item = self.annotations.get(identity)
        if item is None:
            return 404, {"message": "Could not find annotation to update"}
        # As Grafana does: an empty list of tags is a wish, an absent one is not.
        if body.get("tags") is not None:
            item["tags"] = body["tags"]
        for key in ("text", "time", "timeEnd"):
            if body.get(key):
                item[key] = body[key]
        return 200, {"message": "Annotation patched"}

    def _get_folder(self, uid: str) -> tuple[int, Any]:
        if self.hide_folders:
            self.hide_folders -= 1
            return 404, {"message": "folder not found"}
        if uid not in self.folders:
            return 404, {"message": "folder not found"}
        return 200, {"uid": uid, "title": self.folders[uid]}

    def _post_folder(self, body: Any) -> tuple[int, Any]:
        if body["uid"] in self.folders:
            return 412, {"message": "the folder has been changed by someone else"}
        self.folders[body["uid"]] = body["title"]
        return 200, {"uid": body["uid"], "title": body["title"]}

    def _post_dashboard(self, body: Any) -> tuple[int, Any]:
        model, folder = body["dashboard"], body.get("folderUid", "")
        if folder not in self.folders:
            return 400, {"message": "folder not found"}
        old = self.dashboards.get(model["uid"])
        if old is not None and not body.get("overwrite"):
            return 412, {"message": "A dashboard with the same uid already exists"}
        version = old["dashboard"]["version"] + 1 if old else 1
        self.dashboards[model["uid"]] = {
            "meta": {"folderUid": folder},
            "dashboard": {**model, "id": 7, "version": version},
        }
        return 200, {"uid": model["uid"], "status": "success", "version": version}


class _Handler(BaseHTTPRequestHandler):
    stub: StubGrafana
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: two would wait for a delayed acknowledgement, 40 ms each.
    wbufsize = 65536

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        self.stub.requests.append(f"{self.command} {self.path}")
        if self.stub.faults:
            fault = self.stub.faults.pop(0)
            time.sleep(fault.delay_s)
            self._send(fault.status, fault.body, fault.content_type, fault.headers)
            return
        path = urlsplit(self.path).path
        if path != "/api/health" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send_json(401, {"message": "Invalid API key"})
            return
        body = json.loads(raw) if raw else None
        self._send_json(*self.stub.answer(self.command, self.path, body))

    do_GET = do_POST = do_PATCH = do_PUT = _serve

    def _send_json(self, status: int, body: Any) -> None:
        self._send(status, json.dumps(body).encode(), "application/json", {})

    def _send(self, status: int, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve() -> Iterator[StubGrafana]:
    """A stub on a free loopback port."""
    stub = StubGrafana()
    handler = type("Handler", (_Handler,), {"stub": stub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
