"""Holds response objects and events against the response classes of the ``stripe`` package.

Finds unknown fields, missing fields, wrong types and values outside an enumeration, at any
depth. The classes do not tell "may be null" from "may be absent": both are Optional there.
"""

import ast
from collections.abc import Iterator
from functools import cache
from typing import Any

from stripe_sandbox.spec.annotations import (
    ANY,
    NULL,
    Choice,
    Field,
    ListOf,
    MapOf,
    OneOf,
    Page,
    Record,
    Scalar,
    Shape,
    fields_of,
    shape_of,
)
from stripe_sandbox.spec.routes import Route
from stripe_sandbox.spec.source import ClassRef, package_folder

_PAGES = {
    "list": {"object", "data", "has_more", "url"},
    "search_result": {"object", "data", "has_more", "url", "next_page"},
}
_OPTIONAL_ON_PAGES = frozenset({"next_page", "total_count"})
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "decimal": (str,),
    "null": (type(None),),
}
_SHOWN = 60
_ERROR = ClassRef("stripe._error_object", "ErrorObject")


def check(obj: dict[str, Any]) -> list[str]:
    """Return what is wrong with a response object, list or event, as ``path: problem``.

    An empty list means that it conforms. The class is chosen by the ``object`` field; an event's
    ``data.object`` is held against its own class.
    """
    name = str(obj.get("object"))
    if name in _PAGES:
        return list(_page(ANY, obj, name))
    ref = response_classes().get(name)
    if ref is None:
        return [f"{name}: no such object in the stripe package"]
    problems = list(_record(ref, obj, name))
    if name == "event":
        problems.extend(_event_data(obj))
    return problems


def check_answer(route: Route, body: dict[str, Any]) -> list[str]:
    """Return what is wrong with the body of a successful answer to a request of `route`.

    Like `check`, but the class is the one that the route returns, so that an answer about
    something else is a deviation.
    """
    annotation = ast.parse(route.returns, mode="eval").body
    return list(_problems(shape_of(annotation, route.declared_in), body, "answer"))


def check_error(error: dict[str, Any]) -> list[str]:
    """Return what is wrong with the ``error`` of a refusal, the objects that it carries included."""
    return list(_record(_ERROR, error, "error"))


@cache
def response_classes() -> dict[str, ClassRef]:
    """Read ``OBJECT_CLASSES``: which class the SDK builds for which ``object`` value."""
    file = package_folder() / "_object_classes.py"
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == "OBJECT_CLASSES"
            and node.value
        ):
            table: dict[str, tuple[str, str]] = ast.literal_eval(node.value)
            return {name: ClassRef(*place) for name, place in table.items()}
    message = "the stripe package has no OBJECT_CLASSES"
    raise AssertionError(message)


def _event_data(event: dict[str, Any]) -> Iterator[str]:
    data = event.get("data")
    body = data.get("object") if isinstance(data, dict) else None
    if not isinstance(body, dict):
        return
    assert isinstance(data, dict)
    for problem in check(body):
        yield f"event[{event.get('type')}].data.object: {problem}"
    ref = response_classes().get(str(body.get("object")))
    previous = data.get("previous_attributes")
    if ref and isinstance(previous, dict):
        for name in sorted(previous.keys() - fields_of(ref).keys()):
            yield f"event[{event.get('type')}].data.previous_attributes.{name}: unknown field"


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape == ANY:
        if isinstance(value, dict) and value.get("object") in response_classes():
            yield from (f"{path}: {problem}" for problem in check(value))
    elif isinstance(shape, OneOf):
        yield from _union(shape, value, path)
    elif isinstance(shape, Choice):
        if not _chosen(shape, value):
            yield f"{path}: {_show(value)} is not one of {', '.join(map(repr, shape.values))}"
    elif isinstance(shape, Scalar):
        if not _is(shape.kind, value):
            yield f"{path}: expected {shape.kind}, got {_show(value)}"
    else:
        yield from _container(shape, value, path)


def _container(
    shape: ListOf | MapOf | Page | Record,
    value: Any,
    path: str,
) -> Iterator[str]:
    if isinstance(shape, ListOf):
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _problems(shape.item, item, f"{path}[{index}]")
        else:
            yield f"{path}: expected list, got {_show(value)}"
    elif not isinstance(value, dict):
        yield f"{path}: expected object, got {_show(value)}"
    elif isinstance(shape, MapOf):
        for name, item in value.items():
            yield from _problems(shape.value, item, f"{path}.{name}")
    elif isinstance(shape, Page):
        yield from _page(shape.item, value, path)
    else:
        yield from _record(shape.ref, value, path)


def _union(shape: OneOf, value: Any, path: str) -> Iterator[str]:
    """Report against the option that fits best: same kind of value, then fewest problems."""
    if value is None:
        if NULL not in shape.options:
            yield f"{path}: null is not allowed"
        return
    options = [option for option in shape.options if option != NULL]
    nested = isinstance(value, dict | list)
    alike = [o for o in options if nested != isinstance(o, Scalar | Choice)] or options
    yield from min((list(_problems(option, value, path)) for option in alike), key=len)


def _record(ref: ClassRef, value: dict[str, Any], path: str) -> Iterator[str]:
    fields = fields_of(ref)
    deleted = value.get("deleted") is True and "deleted" in fields
    for name in value:
        if name not in fields:
            yield f"{path}.{name}: unknown field"
    for name, field in fields.items():
        if name in value:
            yield from _problems(field.shape, value[name], f"{path}.{name}")
        elif field.required and not (deleted and not _survives(name, field)):
            yield f"{path}.{name}: missing"


def _survives(name: str, field: Field) -> bool:
    """Tell whether a field is still there on a deleted object: only its identity is."""
    return field.required and name in {"id", "object"}


def _page(item: Shape, value: dict[str, Any], path: str) -> Iterator[str]:
    name = str(value.get("object"))
    known = _PAGES.get(name)
    if known is None:
        yield f"{path}: expected a list, got object {_show(name)}"
        return
    for field in sorted(value.keys() - known - _OPTIONAL_ON_PAGES):
        yield f"{path}.{field}: unknown field"
    for field in sorted(known - value.keys() - _OPTIONAL_ON_PAGES):
        yield f"{path}.{field}: missing"
    for field, kind in (("has_more", "bool"), ("url", "str")):
        if field in value:
            yield from _problems(Scalar(kind), value[field], f"{path}.{field}")
    yield from _container(ListOf(item), value.get("data"), f"{path}.data")


def _chosen(shape: Choice, value: Any) -> bool:
    """Compare with types: ``True`` is not ``1``."""
    return any(type(option) is type(value) and option == value for option in shape.values)


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, _TYPES[kind])


def _show(value: Any) -> str:
    return "null" if value is None else repr(value)[:_SHOWN]
