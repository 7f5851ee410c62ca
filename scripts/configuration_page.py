"""Writes the pages of all settings: `python scripts/configuration_page.py docs/configuration.md
docs/ingest-configuration.md`; the second one may be left out.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from monitor.ingest.settings import IngestSettings
from monitor.reload import NEEDS_RESTART
from monitor.settings import Settings

HEAD = """\
# Configuration

One YAML file, given to `linewatch run`. The smallest one that works:

```yaml
model:
  checkpoint: model.safetensors
sources:
  - kafka: {bootstrap_servers: "localhost:9092", topic: frames, group_id: linewatch}
  - rtsp: {camera: line-1, url: "rtsp://localhost:8554/line-1"}
  - files: {camera: bench, path: "clips/*.mp4", fps: 10, loop: false}
redis: {url: "redis://localhost:6379/0"}
```

- Every key can also be set as an environment variable: `LINEWATCH_<SECTION>__<KEY>`, for example
  `LINEWATCH_HTTP__PORT=8091` or `LINEWATCH_ALERTS__FIRE_AFTER__FRAMES=2`. Lists are given as JSON. The environment
  wins over the file.
- A key that holds a secret (marked below) may be given as `<key>_file`: the path of a file with the value, so that
  the secret stays out of the configuration.
- What is wrong is told with file, line and key, and nothing starts (exit code 2).
- Relative paths are relative to the folder in which linewatch is started.

This page is made from the settings by `python scripts/configuration_page.py docs/configuration.md`.
"""

CHANGING = """\
## Changing it while it runs

SIGHUP, or POST `/api/reload`, has linewatch read the file again, with the environment that it was started with. The
answer of `/api/reload` names the keys that changed; a signal's is in the log.

- A file that is wrong changes nothing: the last good one serves on, and the log, the page, the answer (422) and the
  metrics say what is wrong, with file, line and key.
- These are wired once and need a restart; where one of them differs, the whole file is refused and nothing changes:
{fixed}
- Everything else is taken over live: thresholds and windows, regions, products and maintenance, sources, the model,
  channels and subscriptions.
- A channel that changed, or whose secret file did, finishes what it is sending, and what waits goes out by the new one.
  One that cannot be made (a template, an address) refuses the file. Subscriptions hold from the next event on.
- `linewatch dispatch` reads its configuration once: restart it after a change, and do not send it SIGHUP.
- A source whose entry did not change is read on. One that changed, if only in one key, is closed and opened anew; what
  was read of it is finished first. A watched folder is then new, too: the files in it are taken again, unless
  `existing: false`.
- A checkpoint that was trained anew under the same name is loaded, and `model.checkpoint` is among the changed keys.
"""

INGEST_HEAD = """\
# Configuration of the ingest

One YAML file, given to `linewatch ingest`; [ingest.md](ingest.md) tells what it does. The smallest one that works:

```yaml
sources:
  - rtsp: {camera: line-1, url: "rtsp://localhost:8554/line-1"}
kafka: {bootstrap_servers: "localhost:9092", topic: frames}
```

Every key can also be set as an environment variable, for example `LINEWATCH_ENCODE__QUALITY=80`; secrets, faults and
relative paths are as in [configuration.md](configuration.md).

This page is made from the settings by
`python scripts/configuration_page.py docs/configuration.md docs/ingest-configuration.md`.
"""


def page() -> str:
    """The whole page of the monitor."""
    fixed = textwrap.fill(", ".join(f"`{key}`" for key in NEEDS_RESTART), 116, break_on_hyphens=False)
    fixed = textwrap.indent(fixed, "  ")
    return f"{HEAD}\n{CHANGING.format(fixed=fixed)}\n## All keys\n\n" + "\n".join(_section(Settings, ""))


def ingest_page() -> str:
    """The whole page of the ingest."""
    return INGEST_HEAD + "\n" + "\n".join(_section(IngestSettings, ""))


def _section(model: type[BaseModel], path: str) -> list[str]:
    """The table of one section, then those of the sections inside it."""
    rows, inner = [], []
    for name, field in model.model_fields.items():
        nested = _model_of(field.annotation)
        key = f"{path}{name}"
        if nested is None:
            rows.append(f"| `{key}` | {_kind(field)} | {_default(field)} | {field.description} |")
        else:
            inner += _section(nested, f"{key}[]." if "tuple" in str(field.annotation) else f"{key}.")
    title = f"## `{path.rstrip('.').removesuffix('[]')}`\n\n{inspect.cleandoc(model.__doc__ or '')}\n\n" if path else ""
    table = "| key | kind | default | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n" if rows else ""
    return ([title + table] if title or table else []) + inner


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in typing.get_args(annotation) if (m := _model_of(a)) is not None), None)


def _kind(field: FieldInfo) -> str:
    annotation = field.annotation
    if annotation is SecretStr or SecretStr in typing.get_args(annotation):
        return "text, secret"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    options = _options(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return _literal(annotation)
    if typing.get_origin(annotation) is tuple:
        return "list"
    if typing.get_origin(annotation) is dict:
        return "mapping"
    parts = [names.get(option) or _literal(option) for option in options or (annotation,) if option is not type(None)]
    return " or ".join(part for part in parts if part)


def _options(annotation: Any) -> tuple[Any, ...]:
    """What a union consists of, those inside it included; of anything else its arguments. Validators are left out."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _options(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        inner = (_options(option) or (option,) for option in typing.get_args(annotation) if option is not type(None))
        return tuple(option for options in inner for option in options)
    if typing.get_origin(annotation) is typing.Literal:
        return (annotation,)
    return typing.get_args(annotation)


def _literal(annotation: Any) -> str:
    return " or ".join(f"`{option}`" for option in typing.get_args(annotation))


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, SecretStr):
        return f"`{field.default.get_secret_value()}`"
    if isinstance(field.default, tuple) and field.default:
        return ", ".join(f"`{entry}`" for entry in field.default)
    return "none" if field.default is None else "empty" if field.default in ((), {}) else f"`{field.default}`"


if __name__ == "__main__":
    for name, text in zip(sys.argv[1:], (page(), ingest_page()), strict=False):
        Path(name).write_text(text, encoding="utf-8")
