"""What of an object matters to the published types, so that one of many alike is enough to check.

The types tell apart fields, kinds of values and the words of enumerations; an id, an amount or a name is like any
other. Two objects with the same outline are right or wrong together. Both sources are made from one specification and
know the same words; they are read from the schema of the TypeScript declarations.
"""

import re
from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any

from contract import node_types

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_A_DECIMAL, _A_TEXT = "\0decimal", "\0text"
_DEEP = {"properties", "$defs"}
"""Keys of a schema below which any name may stand."""


def outline(value: Any) -> Hashable:
    """Return what a value has in common with all that the types cannot tell from it."""
    return _outline(value, *_vocabulary())


def _outline(value: Any, words: frozenset[object], names: frozenset[str]) -> Hashable:
    if isinstance(value, str):
        if value in words:
            return value
        return _A_DECIMAL if _DECIMAL.fullmatch(value) else _A_TEXT
    if isinstance(value, dict):
        return frozenset(
            (name if name in names else "", _outline(inner, words, names)) for name, inner in value.items()
        )
    if isinstance(value, list):
        return (list, frozenset(_outline(inner, words, names) for inner in value))
    if value is None or isinstance(value, bool):
        return (value,)
    return (type(value), value if value in words else None)


@cache
def _vocabulary() -> tuple[frozenset[object], frozenset[str]]:
    """Return the words of all enumerations and bindings, and the names of all fields."""
    schema = node_types.schema()
    words: set[object] = {*schema["x-events"], *schema["x-objects"], *node_types.ENVELOPES}
    names: set[str] = set()
    for definition in _nodes(schema["$defs"].values()):
        words.update(word for word in definition.get("enum", ()) if not isinstance(word, bool))
        names.update(definition.get("properties", ()))
    return frozenset(words), frozenset(names)


def _nodes(schemas: Any) -> Iterator[dict[str, Any]]:
    """Return every schema at any depth."""
    for schema in schemas:
        if isinstance(schema, dict):
            yield schema
            for key, inner in schema.items():
                if key in _DEEP:
                    yield from _nodes(inner.values())
                elif isinstance(inner, dict):
                    yield from _nodes([inner])
                elif isinstance(inner, list) and key != "enum":
                    yield from _nodes(inner)
