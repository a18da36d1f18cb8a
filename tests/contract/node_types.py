"""Holds objects and events against Stripe's TypeScript declarations, as JSON Schema.

These declarations tell a field that may be absent from one that may be null, and bind each
event type to the class of its data; the Python types (``stripe_sandbox.spec``) tell neither,
but know integers. The schema is built by ``tools/stripe_types/export.mjs`` from the pinned npm
package and kept in ``.cache/``; it is built again when the pin or the exporter changes.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Json = dict[str, Any]

_ROOT = Path(__file__).resolve().parents[2]
TOOL = _ROOT / "tools" / "stripe_types"
EXPORTER = ("declarations.mjs", "export.mjs")
CACHE = _ROOT / ".cache" / "stripe_types.json"
_URI = "urn:stripe-types"
ENVELOPES = {"list": "ApiList<unknown>", "search_result": "ApiSearchResult<unknown>"}
_BODY = ("data", "object")
_PREVIOUS = ("data", "previous_attributes")
_EXPORT_SECONDS = 60
_SHOWN = 60


class TypesMissingError(Exception):
    """The schema cannot be built here; the message says what to do."""


def deviations(value: Json) -> list[str]:
    """Return what is wrong with an object, list or event as ``path: problem``; empty is clean."""
    name = str(value.get("object"))
    if name in ENVELOPES:
        found = list(_validate(value, ENVELOPES[name], name))
        for index, item in enumerate(value.get("data") or []):
            found.extend(f"{name}.data[{index}]: {problem}" for problem in deviations(item))
        return found
    definition = _definition(value)
    if definition is None:
        kind = f" of type {value.get('type')}" if name == "event" else ""
        return [f"{name}: no such object{kind} in the stripe declarations"]
    return list(_validate(value, definition, name))


@cache
def schema() -> Json:
    """Return the schema of the pinned npm package, building it if it is missing or outdated."""
    return load_schema(TOOL, CACHE)


def load_schema(tool: Path, cached: Path) -> Json:
    """Return the schema kept in `cached`, after building it with `tool` if it is not up to date.

    Raises `TypesMissingError` if that needs npm packages or a Node.js that are not there.
    """
    wanted = _source(tool)
    if not cached.exists() or _read(cached).get("x-source") != wanted:
        _build(tool, cached)
    built = _read(cached)
    if built["x-source"] != wanted:
        message = (
            f"stripe {built['x-source']['stripe']} is installed in tools/stripe_types, "
            f"{wanted['stripe']} is pinned: run `npm ci --prefix tools/stripe_types`"
        )
        raise TypesMissingError(message)
    return built


def _source(tool: Path) -> Json:
    """Say what an up-to-date schema is made from."""
    exporter = b"".join((tool / name).read_bytes() for name in EXPORTER)
    return {
        "stripe": _read(tool / "package.json")["devDependencies"]["stripe"],
        "exporter": hashlib.sha256(exporter).hexdigest(),
    }


def _read(file: Path) -> Json:
    content: Json = json.loads(file.read_text(encoding="utf-8"))
    return content


def _build(tool: Path, cached: Path) -> None:
    node = which("node")
    if node is None:
        message = "the contract tests need Node.js 20 or newer (`node` is not on the PATH)"
        raise TypesMissingError(message)
    if not all((tool / "node_modules" / name).is_dir() for name in ("stripe", "typescript")):
        message = (
            "the npm packages with Stripe's declarations are not installed: "
            "run `npm ci --prefix tools/stripe_types`"
        )
        raise TypesMissingError(message)
    run = subprocess.run(
        [node, str(tool / "export.mjs"), str(cached)],
        capture_output=True,
        text=True,
        timeout=_EXPORT_SECONDS,
        check=False,
    )
    if run.returncode != 0:
        message = f"tools/stripe_types/export.mjs failed:\n{run.stderr}"
        raise TypesMissingError(message)


def _definition(value: Json) -> str | None:
    name = value.get("object")
    if name == "event":
        bound: str | None = schema()["x-events"].get(value.get("type"))
        return bound
    deleted = value.get("deleted") is True
    candidates: list[str] = schema()["x-objects"].get(name, [])
    for candidate in candidates:
        if ("deleted" in schema()["$defs"][candidate]["required"]) == deleted:
            return candidate
    return None


@cache
def _validator(definition: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": f"{_URI}#/$defs/{definition}"},
        registry=_registry(),
    )


@cache
def _registry() -> Registry[Any]:
    empty: Registry[Any] = Registry()
    filled: Registry[Any] = empty.with_resource(_URI, DRAFT202012.create_resource(schema()))
    return filled


def _validate(value: Json, definition: str, name: str) -> Iterator[str]:
    errors = [error for error in _validator(definition).iter_errors(value) if not _tolerated(error)]
    foreign = any(_is_foreign(error) for error in errors)
    for error in errors:
        inside = tuple(error.absolute_path)[:2] == _BODY
        if not (foreign and inside) or _is_foreign(error):
            yield from _explain(error, name)


def _is_foreign(error: ValidationError) -> bool:
    """Tell whether an event is about an object of another class than its type is bound to.

    What else is wrong with that object is then beside the point.
    """
    return tuple(error.absolute_path) == (*_BODY, "object") and error.validator == "enum"


def _tolerated(error: ValidationError) -> bool:
    """Tell whether an error lies inside a previous attribute.

    A hash among the previous attributes holds only its changed keys, with null for keys that
    were not there before; the declarations type it as if it were whole.
    """
    return tuple(error.absolute_path)[:2] == _PREVIOUS and len(error.absolute_path) > len(_PREVIOUS)


def _explain(error: ValidationError, name: str) -> Iterator[str]:
    path = name + "".join(_step(step) for step in error.absolute_path)
    if error.validator == "anyOf":
        yield from _explain_union(error, name, path)
    elif error.validator == "additionalProperties":
        known = error.schema["properties"] if isinstance(error.schema, dict) else {}
        for field in sorted(set(error.instance) - set(known)):
            yield f"{path}.{field}: unknown field"
    elif error.validator == "required":
        field = error.message.split("'")[1]
        yield f"{path}.{field}: missing"
    elif error.instance is None:
        yield f"{path}: null is not allowed"
    elif error.validator == "enum":
        yield f"{path}: {error.instance!r} is not one of {error.validator_value!r}"
    else:
        expected = error.validator_value
        yield f"{path}: expected {expected}, got {repr(error.instance)[:_SHOWN]}"


def _explain_union(error: ValidationError, name: str, path: str) -> Iterator[str]:
    """Explain by the option that was meant: of the same type and object, with fewest errors."""
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or []:
        branches.setdefault(int(inner.relative_schema_path[0]), []).append(inner)
    meant = [errors for errors in branches.values() if not any(map(_is_mismatch, errors))]
    if meant:
        for inner in min(meant, key=len):
            yield from _explain(inner, name)
    elif error.instance is None:
        yield f"{path}: null is not allowed"
    else:
        shown = error.instance
        if isinstance(shown, dict):
            shown = f"object {shown.get('object')}"
        yield f"{path}: {repr(shown)[:_SHOWN]} is none of the allowed types or values"


def _is_mismatch(error: ValidationError) -> bool:
    """Tell whether an option is out of question: another JSON type, object or deletion state."""
    path = list(error.relative_path)
    if path == ["object"]:
        return bool(error.validator == "enum")
    if path:
        return False
    if error.validator == "required":
        return "'deleted'" in error.message
    return error.validator in {"type", "enum", "pattern"}


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"
