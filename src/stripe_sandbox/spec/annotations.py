"""Turns the type annotations of the ``stripe`` package into shapes that data is held against.

A shape says what a value may be; it knows neither forms nor messages. Requests are read by
``coercion``, responses by ``conformance``.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from stripe_sandbox.spec.source import ClassRef, class_body, load, resolve


@dataclass(frozen=True)
class Scalar:
    """One of ``str``, ``int``, ``bool``, ``float``, ``decimal``, ``null`` and ``any``."""

    kind: str


@dataclass(frozen=True)
class Choice:
    """A closed set of values."""

    values: tuple[str | bool | int, ...]


@dataclass(frozen=True)
class ListOf:
    """An array."""

    item: "Shape"


@dataclass(frozen=True)
class MapOf:
    """An object with free keys, such as metadata."""

    value: "Shape"


@dataclass(frozen=True)
class Page:
    """A page of a list or a search."""

    item: "Shape"


@dataclass(frozen=True)
class Record:
    """An object with the fields of a class."""

    ref: ClassRef


@dataclass(frozen=True)
class OneOf:
    """A union; no option is itself a union."""

    options: tuple["Shape", ...]


Shape = Scalar | Choice | ListOf | MapOf | Page | Record | OneOf

STR = Scalar("str")
NULL = Scalar("null")
ANY = Scalar("any")


@dataclass(frozen=True)
class Field:
    """A field of a record. A response field is required unless the SDK calls it Optional."""

    shape: Shape
    required: bool


_SCALARS: dict[str, Shape] = {
    "str": STR,
    "int": Scalar("int"),
    "bool": Scalar("bool"),
    "float": Scalar("float"),
    "Decimal": Scalar("decimal"),
    "Any": ANY,
    "object": ANY,
    "T": ANY,  # what a list of anything holds
    "StripeObject": MapOf(ANY),
    "UntypedStripeObject": MapOf(ANY),
}
_TRANSPARENT = frozenset({"NotRequired", "Required"})
_NOT_FIELDS = frozenset({"RequestOptions", "StripeObject", "TypedDict"})


def options_of(shape: Shape) -> tuple[Shape, ...]:
    """Return the options of a union, or the shape itself."""
    return shape.options if isinstance(shape, OneOf) else (shape,)


@cache
def fields_of(ref: ClassRef) -> dict[str, Field]:
    """Return the fields of a response class or of a parameter TypedDict by their wire names.

    The options of a request (API key, idempotency key) are base class fields of parameter
    TypedDicts in the SDK; they travel as headers and are left out.
    """
    fields: dict[str, Field] = {}
    node = class_body(ref)
    for base in node.bases:
        fields.update(_inherited(base, ref))
    renamed = _wire_names(node)
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            if not name.startswith("_") and not _is_class_variable(statement.annotation):
                fields[renamed.get(name, name)] = _field(statement.annotation, ref)
    return fields


def _inherited(base: ast.expr, ref: ClassRef) -> dict[str, Field]:
    if not isinstance(base, ast.Name) or base.id in _NOT_FIELDS:
        return {}
    module = load(ref.module)
    if base.id in module.typed_dicts:
        return {name: _field(annotation, ref) for name, annotation in module.typed_dicts[base.id].items()}
    if base.id in module.classes:
        return fields_of(ClassRef(ref.module, base.id))
    return {}


def _wire_names(node: ast.ClassDef) -> dict[str, str]:
    """Read ``_field_remappings``: how fields named after Python keywords travel."""
    for statement in node.body:
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and statement.targets[0].id == "_field_remappings"
        ):
            return dict(ast.literal_eval(statement.value))
    return {}


def _is_class_variable(annotation: ast.expr) -> bool:
    return isinstance(annotation, ast.Subscript) and _head(annotation) == "ClassVar"


def _field(annotation: ast.expr, scope: ClassRef) -> Field:
    optional = isinstance(annotation, ast.Subscript) and _head(annotation) in {
        "Optional",
        "NotRequired",
    }
    return Field(shape=shape_of(annotation, scope), required=not optional)


def shape_of(node: ast.expr, scope: ClassRef) -> Shape:
    """Return the shape that an annotation inside the class `scope` describes."""
    return _union(list(_options(node, scope)))


def _options(node: ast.expr, scope: ClassRef) -> Iterator[Shape]:
    if isinstance(node, ast.BinOp):
        yield from _options(node.left, scope)
        yield from _options(node.right, scope)
    elif isinstance(node, ast.Constant):
        yield from _constant(node, scope)
    elif isinstance(node, ast.Name):
        yield _SCALARS.get(node.id) or Record(resolve(node.id, scope))
    else:
        assert isinstance(node, ast.Subscript), ast.dump(node)
        yield from _subscript(node, scope)


def _constant(node: ast.Constant, scope: ClassRef) -> Iterator[Shape]:
    if node.value is None:
        yield NULL
    else:
        assert isinstance(node.value, str)
        yield from _options(ast.parse(node.value, mode="eval").body, scope)


def _subscript(node: ast.Subscript, scope: ClassRef) -> Iterator[Shape]:
    head, arguments = _head(node), _arguments(node)
    if head in _TRANSPARENT or head == "Union":
        for argument in arguments:
            yield from _options(argument, scope)
    elif head == "Optional":
        yield from _options(arguments[0], scope)
        yield NULL
    elif head == "ExpandableField":
        yield STR
        yield from _options(arguments[0], scope)
    elif head == "Literal":
        yield Choice(tuple(_literal(argument) for argument in arguments))
    else:
        yield _container(head, shape_of(arguments[-1], scope))


def _container(head: str, inner: Shape) -> Shape:
    if head in {"List", "Sequence"}:
        return ListOf(inner)
    if head in {"Dict", "Mapping", "UntypedStripeObject"}:
        return MapOf(inner)
    assert head in {"ListObject", "SearchResultObject"}, head
    return Page(inner)


def _head(node: ast.Subscript) -> str:
    assert isinstance(node.value, ast.Name)
    return node.value.id


def _arguments(node: ast.Subscript) -> list[ast.expr]:
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _literal(node: ast.expr) -> str | bool | int:
    value = ast.literal_eval(node)
    assert isinstance(value, str | bool | int)
    return value


def _union(options: list[Shape]) -> Shape:
    """Flatten, join the literals, and close enumerations that the SDK leaves open.

    The SDK writes ``Literal["a", "b"] | str`` so that old clients accept new values; for what
    this version sends and takes, the literals are the whole set. ``Literal[""] | str`` is not
    an enumeration: it is text that may be emptied.
    """
    values = [value for shape in options if isinstance(shape, Choice) for value in shape.values]
    closed = any(value != "" for value in values)
    merged: list[Shape] = [Choice(tuple(dict.fromkeys(values)))] if values else []
    for shape in options:
        if isinstance(shape, Choice) or (closed and shape == STR):
            continue
        if shape not in merged:
            merged.append(shape)
    return merged[0] if len(merged) == 1 else OneOf(tuple(merged))
