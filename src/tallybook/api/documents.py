"""The two OpenAPI documents: the native API's and the seed families', as honest as their routes.

What FastAPI cannot say itself is said here: the media type of native refusals (RFC 9457), and that a native POST needs
its idempotency key, whose absence is a refusal with a code of its own and so no matter of validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRouter

KEY_HEADER = "idempotency-key"


def document(title: str, version: str, routers: Sequence[APIRouter], *, native: bool) -> dict[str, Any]:
    """The document of these routers."""
    routes = [route for router in routers for route in router.routes]
    found = get_openapi(title=title, version=version, routes=routes)
    if native:
        for operation in _operations(found):
            _say_problem_json(operation)
            _require_key(operation)
    return found


def _operations(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in found["paths"].values():
        yield from path.values()


def _say_problem_json(operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if int(status) >= 400 and "application/json" in answer.get("content", {}):
            answer["content"]["application/problem+json"] = answer["content"].pop("application/json")


def _require_key(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["name"].lower() == KEY_HEADER:
            parameter["required"] = True
            parameter["schema"] = {"type": "string", "minLength": 1, "maxLength": 255}
