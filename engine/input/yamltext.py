"""YAML text to plain values. Tags, exponential aliases, deep nesting and control characters are refused."""

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode

from ..errors import InputError, Problem

MOST_BYTES = 1_000_000
MOST_VALUES = 20_000  # with all aliases expanded
MOST_DEPTH = 40
PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "merge"))

KEYS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "merge"))


def read_yaml(text: str, source: str) -> tuple[CommentedMap, dict[str, Any]]:
    """The document with its line numbers, and its plain values: dictionaries, lists, text, numbers. Raises InputError."""
    if len(text) > MOST_BYTES:
        raise InputError([Problem("file", f"found {len(text)} characters; allowed: up to {MOST_BYTES}")], source)
    try:
        root = YAML(typ="rt", pure=True).compose(text)
        if problem := _Survey().problem(root):
            raise InputError([problem], source)
        document = YAML(typ="rt", pure=True).load(text)
        values = YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        raise InputError([Problem("key", f"found twice: {_first_line(error.problem)}", _line(error))], source) from None
    except MarkedYAMLError as error:
        raise InputError([Problem("YAML", _first_line(error.problem or str(error)), _line(error))], source) from None
    except (YAMLError, ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError) as error:
        # other errors of the parser of ruamel.yaml
        raise InputError([Problem("YAML", f"{type(error).__name__}: {_first_line(str(error))}")], source) from None
    if not isinstance(document, CommentedMap):
        raise InputError([Problem("file", f"found {type(document).__name__}; allowed: keys with values", 1)], source)
    return document, values


def _line(error: MarkedYAMLError) -> int | None:
    return error.problem_mark.line + 1 if error.problem_mark else None


def _first_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[0] if lines else "unreadable"


@dataclass
class _Survey:
    """Checks every node once, however many aliases refer to it, and counts the values after expansion of all aliases."""

    sizes: dict[int, int] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def problem(self, root: Node | None) -> Problem | None:
        try:
            self._size(root, 1)
        except _Refusal as refusal:
            return refusal.problem
        return None

    def _size(self, node: Any, depth: int) -> int:
        """Number of values of a node; an upper bound if the node contains a merge (<<)."""
        if node is None or id(node) in self.sizes:
            return self.sizes.get(id(node), 1)
        if id(node) in self.open:
            raise _Refusal(node, "found an alias inside the node that it refers to; allowed: aliases of complete nodes")
        if depth > MOST_DEPTH:
            raise _Refusal(node, f"found more than {MOST_DEPTH} levels of nesting")
        if str(node.tag) not in PLAIN:
            raise _Refusal(
                node, f"found {_tag(node)}; allowed: text (in quotes if needed), numbers, true, false, lists, mappings"
            )
        if isinstance(node, ScalarNode):
            if unprintable := next((c for c in node.value if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"), None):
                raise _Refusal(node, f"found the character U+{ord(unprintable):04X}; allowed: printable characters")
            return 1
        self.open.add(id(node))
        for key in (item[0] for item in node.value if isinstance(item, tuple)):
            if not isinstance(key, ScalarNode) or str(key.tag) not in KEYS:
                raise _Refusal(key, "found a key that is not a word; allowed: words (in quotes if needed) and numbers")
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        size = 1 + sum(self._size(part, depth + 1) for part in parts)
        if size > MOST_VALUES:
            raise _Refusal(node, f"found {size} values with all aliases expanded; allowed: up to {MOST_VALUES}")
        self.open.remove(id(node))
        self.sizes[id(node)] = size
        return size


def _tag(node: Node) -> str:
    tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
    return "a date" if tag == "!!timestamp" else f"the tag {tag}"


class _Refusal(Exception):
    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.problem = Problem("YAML", message, node.start_mark.line + 1)
