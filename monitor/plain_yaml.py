"""YAML as people mean it in a configuration."""

from __future__ import annotations

import re
from typing import Any

import yaml

SORTS = {"timestamp": "a date", "int": "a number", "float": "a number", "bool": "true or false"}


class PlainLoader(yaml.SafeLoader):
    """As yaml.SafeLoader, but 22:00 is a text, not 22 * 60, and any value that cannot be read is a ConstructorError
    with its place; the SafeLoader raises ValueError, KeyError and others, without one."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception:
            sort = SORTS.get(node.tag.rpartition(":")[2], "a value of some kind")
            raise yaml.constructor.ConstructorError(
                None, None, f"this looks like {sort} and is none; a text is written in quotes", node.start_mark
            ) from None


_INT = "tag:yaml.org,2002:int"

PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != _INT]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
PlainLoader.add_implicit_resolver(
    _INT,
    re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
