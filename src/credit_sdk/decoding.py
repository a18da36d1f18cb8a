"""JSON into the frozen dataclasses of ``answers.py``, checked field by field.

Unknown fields are ignored, so that a newer service does not break an older SDK; a missing or a
wrong one is an error.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from credit_sdk.errors import UnexpectedAnswerError

T = TypeVar("T")
_KNOWN: dict[type[Any], list[tuple[str, Any, bool]]] = {}


def decode(kind: type[T], value: object) -> T:
    """An instance of the dataclass ``kind`` from decoded JSON.

    Raises:
        UnexpectedAnswerError: a field is missing or has another type.
    """
    if not isinstance(value, Mapping):
        raise UnexpectedAnswerError(f"{kind.__name__}: expected an object, got {_shape(value)}")
    fields: dict[str, Any] = {}
    for name, hint, required in _fields(kind):
        if name in value:
            fields[name] = _value(hint, value[name], f"{kind.__name__}.{name}")
        elif required:
            raise UnexpectedAnswerError(f"{kind.__name__}.{name} is missing in the answer")
    return kind(**fields)


def decode_each(holder: type[Any], kind: type[T], value: object) -> Any:
    """As ``decode`` into ``holder``, whose tuple ``data`` holds instances of ``kind``."""
    if not isinstance(value, Mapping) or not isinstance(value.get("data"), list):
        raise UnexpectedAnswerError(f"{holder.__name__}: expected a list under data")
    rest = {name: item for name, item in value.items() if name != "data"}
    found = decode(holder, {**rest, "data": []})
    return dataclasses.replace(found, data=tuple(decode(kind, item) for item in value["data"]))


def _fields(kind: type[Any]) -> list[tuple[str, Any, bool]]:
    """Name, type and whether it is required, of each field; looked up once for each dataclass."""
    if kind not in _KNOWN:
        hints = typing.get_type_hints(kind)
        _KNOWN[kind] = [
            (
                field.name,
                hints[field.name],
                field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            )
            for field in dataclasses.fields(kind)
        ]
    return _KNOWN[kind]


def _value(hint: Any, value: object, path: str) -> Any:
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, value)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _choice(typing.get_args(hint), value, path)
    if origin is tuple and isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, item, f"{path}[{at}]") for at, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return value
    read = _PLAIN.get(hint)
    found = read(value) if read is not None else None
    if found is None:
        raise UnexpectedAnswerError(f"{path}: expected {hint}, got {_shape(value)}")
    return found


def _choice(choices: tuple[Any, ...], value: object, path: str) -> Any:
    """The value as the first of the choices that it fits."""
    if value is None and type(None) in choices:
        return None
    problem = UnexpectedAnswerError(f"{path}: null")
    for choice in choices:
        if choice is not type(None):
            try:
                return _value(choice, value, path)
            except UnexpectedAnswerError as misfit:
                problem = misfit
    raise problem


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _shape(value: object) -> str:
    return "null" if value is None else type(value).__name__


_PLAIN: dict[Any, Callable[[object], Any]] = {
    int: lambda value: value if type(value) is int else None,
    str: lambda value: value if isinstance(value, str) else None,
    bool: lambda value: value if isinstance(value, bool) else None,
    datetime: _time,
}
