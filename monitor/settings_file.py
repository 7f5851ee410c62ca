"""The settings from a YAML file and the environment; what is wrong is told with file, line and key."""

from __future__ import annotations

import difflib
import json
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from monitor.plain_yaml import PlainLoader
from monitor.settings import Settings
from monitor.shown import may_hold_password, shown, sort_of, texts_in, without
from streams.redact import HIDDEN

PREFIX = "LINEWATCH_"
NOT_SETTINGS = frozenset({"LINEWATCH_DATA"})
"""Variables with our prefix that other tools use."""

BRANCHES = frozenset({"float", "int", "str", "constrained-str", "constrained-float"})
"""What pydantic calls the branches of a union."""

SECTIONS = frozenset({"model_type", "model_attributes_type", "dict_type", "mapping_type"})
LISTS = frozenset({"tuple_type", "list_type"})
"""Pydantic's kinds of faults where a plain value stands for a section, or for a list."""

Path_ = tuple[str | int, ...]
Tree = TypeVar("Tree", bound=BaseModel)


class ConfigError(ValueError):
    """The configuration cannot be used. The message has a line for each fault: file, line, key, what was expected."""


@dataclass(frozen=True, slots=True)
class _Document:
    data: Any
    lines: Mapping[Path_, int]


def load_settings(path: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the monitor. Raises ConfigError as `load_tree` does."""
    return load_tree(path, Settings, environ)


def load_tree(path: Path, tree: type[Tree], environ: Mapping[str, str] | None = None) -> Tree:
    """The settings of `path` as this tree, with `LINEWATCH_<SECTION>__<KEY>` laid over them.

    Raises ConfigError with every fault that was found. Relative paths stay relative to the working folder.
    """
    document = _read(path)
    data = document.data if document.data is not None else {}
    if not isinstance(data, dict):
        first = next(name for name, field in tree.model_fields.items() if field.is_required())
        raise ConfigError(f"{path}:1: expected a mapping with the key `{first}`, found {sort_of(data)}")
    origins = _overlay(data, os.environ if environ is None else environ, tree)
    try:
        return tree.model_validate(data)
    except ValidationError as error:
        found_all = error.errors(include_url=False)
        # A broken entry is left out of its list, which may then look too short: the second fault is none.
        inside = {found["loc"][0] for found in found_all if len(found["loc"]) > 1}
        secret = [text for text in texts_in(data) if may_hold_password(text)]
        faults = [
            _fault(path, document.lines, origins, found, tree, secret)
            for found in found_all
            if not (found["type"] == "too_short" and found["loc"][0] in inside)
        ]
        raise ConfigError("\n".join(dict.fromkeys(faults))) from None


def line_of(path: Path, *key: str | int) -> str:
    """`file:line: a.b` for a key of a configuration, for faults that only show when the value is used."""
    name = _name(key)
    try:
        lines = _read(path).lines
    except ConfigError:
        return f"{path}: {name}"
    return f"{path}:{_line(lines, key)}: {name}"


def _read(path: Path) -> _Document:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the configuration is not UTF-8 text (byte {error.start})") from None
    try:
        root = yaml.compose(text, Loader=PlainLoader)
        lines: dict[Path_, int] = {}
        if root is not None:
            _collect(root, (), lines, path)
        return _Document(yaml.load(text, Loader=PlainLoader), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML: {_problem(error)}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply to be a configuration, or an alias holds itself") from None


def _problem(error: yaml.MarkedYAMLError) -> str:
    """What YAML says of it. A value that begins with & * or ! is none to YAML, and may be a password: not shown."""
    return re.sub(r"\b(alias|anchor|tag|handle) (['\"]).*\2", r"\1", str(error.problem), flags=re.DOTALL)


def _collect(node: yaml.Node, key: Path_, lines: dict[Path_, int], path: Path) -> None:
    """Notes the line of every key and list entry; a key given twice is an error, since YAML would keep the last."""
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = (*key, str(name.value))
            if inner in lines:
                raise ConfigError(
                    f"{path}:{name.start_mark.line + 1}: {_name(inner)}: given twice, first in line {lines[inner]}"
                )
            lines[inner] = name.start_mark.line + 1
            _collect(value, inner, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*key, index), lines, path)


def _overlay(data: dict[str, Any], environ: Mapping[str, str], tree: type[BaseModel]) -> dict[Path_, str]:
    """Lays the environment over `data`; returns which variable set which key."""
    origins: dict[Path_, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        key = tuple(part.lower() for part in variable.removeprefix(PREFIX).split("__"))
        target: Any = data
        for part in key[:-1]:
            if not isinstance(target.get(part), dict):
                target[part] = {}
            target = target[part]
        target[key[-1]] = _value(environ[variable], _annotation(tree, key))
        origins[key] = variable
    return origins


def _value(text: str, annotation: Any) -> Any:
    """The text, read as JSON where the setting is a list or a section."""
    plain = {str, int, float, bool, Path, None}
    if annotation in plain or not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _annotation(tree: type[BaseModel], key: tuple[str, ...]) -> Any:
    model: Any = tree
    annotation: Any = None
    for part in key:
        if not (isinstance(model, type) and issubclass(model, BaseModel)) or part not in model.model_fields:
            return None
        annotation = model.model_fields[part].annotation
        options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return annotation


def _fault(
    path: Path,
    lines: Mapping[Path_, int],
    origins: Mapping[Path_, str],
    found: Any,
    tree: type[BaseModel],
    secret: list[str],
) -> str:
    key: Path_ = tuple(part for part in found["loc"] if not _is_branch(part))
    origin = next((origins[key[:n]] for n in range(len(key), 0, -1) if key[:n] in origins), None)
    where = f"environment variable {origin}" if origin else f"{path}:{_line(lines, key)}"
    return f"{where}: {_name(key) or '(top level)'}: {without(_message(key, found, tree), secret)}"


def _is_branch(part: str | int) -> bool:
    """Pydantic names the branch of a union in the location; that is no key of the file."""
    return isinstance(part, str) and (part.startswith("literal[") or part in BRANCHES)


def _message(key: Path_, found: Any, tree: type[BaseModel]) -> str:
    kind, message = found["type"], str(found["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        known = _known(tree, key[:-1])
        close = difflib.get_close_matches(str(key[-1]), known, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}" if known else ""
        return f"unknown key{hint}"
    if kind == "missing":
        return "missing; this key is required"
    given = found.get("input")
    if kind in SECTIONS or kind in LISTS:
        return f"expected {'a section of keys' if kind in SECTIONS else 'a list'}, found {sort_of(given)}"
    if kind == "value_error" or isinstance(given, (dict, list, tuple)) or _is_secret(key):
        return message
    return f"{message}, found {shown(given)}"


def _known(tree: type[BaseModel], key: Path_) -> list[str]:
    model: Any = tree
    for part in key:
        if isinstance(part, int):
            continue
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
        field = model.model_fields.get(part)
        if field is None:
            return []
        model = next((m for m in _models(field.annotation)), None)
    return sorted(model.model_fields) if model is not None else []


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models(argument)]


def _is_secret(key: Path_) -> bool:
    return bool(key) and str(key[-1]) in {"url", "token", "password", "key_password"}


def _line(lines: Mapping[Path_, int], key: Path_) -> int:
    """The line of the key, or of the closest thing around it that is in the file."""
    return next((lines[key[:n]] for n in range(len(key), -1, -1) if key[:n] in lines), 1)


def _name(key: Path_) -> str:
    text = ""
    for part in key:
        word = HIDDEN if isinstance(part, str) and may_hold_password(part) else part
        text += f"[{word}]" if isinstance(word, int) else f".{word}" if text else word
    return text
