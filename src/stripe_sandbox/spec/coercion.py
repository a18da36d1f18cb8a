"""Reads decoded form parameters by the types of a route, and refuses what Stripe refuses.

Takes nested dictionaries and lists of strings (``forms`` decodes the text) and returns typed
values. Rules between parameters (this one only in that mode) are left to the handlers.

Messages and codes follow https://docs.stripe.com/error-codes; where Stripe sends no code
(unknown enumeration value, an object where text is due), the code is None.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from stripe_sandbox.spec.annotations import (
    ANY,
    NULL,
    STR,
    Choice,
    ListOf,
    MapOf,
    OneOf,
    Record,
    Scalar,
    Shape,
    fields_of,
    options_of,
)
from stripe_sandbox.spec.routes import Route
from stripe_sandbox.spec.source import ClassRef

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_INDEX = re.compile(r"[0-9]{1,6}")
_ORDER = ("int", "bool", "decimal", "float", "str", "any")
_BOOLEANS = {"true": True, "false": False}
_FEW = 2
_EXPAND = ListOf(STR)


class ParamError(Exception):
    """A parameter that Stripe would answer with 400 ``invalid_request_error``."""

    def __init__(self, code: str | None, param: str, message: str) -> None:
        """Name the parameter in bracket form; `code` is None where Stripe sends no code."""
        super().__init__(code, param, message)
        self.code = code
        self.param = param
        self.message = message

    def __str__(self) -> str:
        """Return the message."""
        return self.message


def coerce(route: Route, form: dict[str, Any]) -> dict[str, Any]:
    """Return the typed parameters of a request.

    Integers become ``int``, booleans ``bool``, lists ``list`` (whether they came with indices
    or not), percentages ``float``; decimals stay strings, checked, because they are amounts. An
    emptied parameter stays ``""``. Raises `ParamError` for anything Stripe would refuse.
    """
    form = dict(form)
    expand = form.pop("expand", None)
    params = _record(route.params, form, "") if route.params else _nothing(form)
    if expand is not None:
        params["expand"] = _coerce(_EXPAND, expand, "expand")
    return params


def _nothing(form: dict[str, Any]) -> dict[str, Any]:
    if form:
        _refuse_unknown(list(form))
    return {}


def _refuse_unknown(names: list[str]) -> NoReturn:
    plural = "s" if len(names) > 1 else ""
    message = f"Received unknown parameter{plural}: {', '.join(names)}"
    raise ParamError("parameter_unknown", names[0], message)


def _record(ref: ClassRef, form: dict[str, Any], path: str) -> dict[str, Any]:
    fields = fields_of(ref)
    unknown = [_inside(path, name) for name in form if name not in fields]
    if unknown:
        _refuse_unknown(unknown)
    for name, field in fields.items():
        if field.required and name not in form:
            param = _inside(path, name)
            message = f"Missing required param: {param}."
            raise ParamError("parameter_missing", param, message)
    return {name: _coerce(fields[name].shape, value, _inside(path, name)) for name, value in form.items()}


def _inside(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _coerce(shape: Shape, value: Any, path: str) -> Any:
    if shape == ANY:
        return value
    if isinstance(value, str):
        return _text(shape, value, path)
    assert isinstance(value, dict | list)
    return _nested(shape, value, path)


def _nested(shape: Shape, value: dict[str, Any] | list[Any], path: str) -> Any:
    """Read an object or array by the options of the shape that can be one."""
    refusal: ParamError | None = None
    for option in options_of(shape):
        if isinstance(option, Scalar | Choice):
            continue
        try:
            return _container(option, value, path)
        except ParamError as problem:
            refusal = refusal or problem
    raise refusal or ParamError(None, path, f"Invalid {_expected(shape)}")


def _container(shape: Shape, value: dict[str, Any] | list[Any], path: str) -> Any:
    if isinstance(shape, ListOf):
        return [
            _coerce(shape.item, item, f"{path}[{index}]") for index, item in enumerate(_items(value, path))
        ]
    if not isinstance(value, dict):
        raise ParamError(None, path, "Invalid object")
    if isinstance(shape, Record):
        return _record(shape.ref, value, path)
    assert isinstance(shape, MapOf)
    return {name: _entry(shape.value, item, _inside(path, name)) for name, item in value.items()}


def _entry(shape: Shape, value: Any, path: str) -> Any:
    """Read a value of a map; an empty one removes the key, as in metadata."""
    return value if value == "" else _coerce(shape, value, path)


def _items(value: dict[str, Any] | list[Any], path: str) -> list[Any]:
    if isinstance(value, list):
        return value
    if set(value) == {""}:  # one object written as ``line_items[][price]``
        return [value[""]]
    if not all(_INDEX.fullmatch(index) for index in value):
        raise ParamError(None, path, "Invalid array")
    return [value[index] for index in sorted(value, key=int)]


def _text(shape: Shape, value: str, path: str) -> Any:
    """Read text: the literals first, then numbers and booleans, free text last."""
    options = sorted(_plain(shape), key=_precedence)
    if value == "" and not _may_be_emptied(options):
        raise ParamError(
            "parameter_invalid_empty",
            path,
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to "
            f"unset a parameter; however '{path}' cannot be unset. You should remove '{path}' "
            "from your request or supply a non-empty value.",
        )
    refusal = ParamError(None, path, f"Invalid {_expected(shape)}")
    for option in options:
        try:
            return _scalar(option, value, path)
        except ParamError as problem:
            refusal = problem
    raise refusal


def _plain(shape: Shape) -> list[Scalar | Choice]:
    return [o for o in options_of(shape) if isinstance(o, Scalar | Choice) and o != NULL]


def _may_be_emptied(options: list[Scalar | Choice]) -> bool:
    return any(isinstance(option, Choice) and "" in option.values for option in options)


def _precedence(shape: Scalar | Choice) -> int:
    if isinstance(shape, Choice):
        return 0 if any(shape.values) else len(_ORDER)
    return _ORDER.index(shape.kind) + 1


def _scalar(shape: Scalar | Choice, value: str, path: str) -> Any:
    if isinstance(shape, Choice):
        return _choice(shape, value, path)
    if shape.kind == "int":
        return _integer(value, path)
    if shape.kind == "bool":
        if value not in _BOOLEANS:
            raise ParamError(None, path, f"Invalid boolean: {value}")
        return _BOOLEANS[value]
    if shape.kind in {"decimal", "float"}:
        return _number(shape.kind, value, path)
    return value


def _choice(shape: Choice, value: str, path: str) -> str:
    if value in shape.values:
        return value
    allowed = [str(option) for option in shape.values if option != ""]
    listed = " or ".join(allowed)
    if len(allowed) > _FEW:
        listed = f"{', '.join(allowed[:-1])}, or {allowed[-1]}"
    listed = f"one of {listed}" if len(allowed) > 1 else listed
    raise ParamError(None, path, f"Invalid {path}: must be {listed}")


def _integer(value: str, path: str) -> int:
    if not _INTEGER.fullmatch(value):
        message = f"Invalid integer: {value}"
        raise ParamError("parameter_invalid_integer", path, message)
    return int(value)


def _number(kind: str, value: str, path: str) -> str | float:
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ParamError(None, path, f"Invalid decimal: {value}")
    return value if kind == "decimal" else float(number)


def _expected(shape: Shape) -> str:
    if isinstance(shape, ListOf):
        return "array"
    if isinstance(shape, Record | MapOf):
        return "object"
    if isinstance(shape, OneOf):
        return _expected(shape.options[-1])
    kinds = {
        "int": "integer",
        "bool": "boolean",
        "float": "decimal",
        "decimal": "decimal",
    }
    return kinds.get(shape.kind, "string") if isinstance(shape, Scalar) else "string"
