"""The routes of both OpenAPI documents, as ``METHOD /path``; read from the app's routers, without starting it."""

from __future__ import annotations

from tallybook.api.documents import document
from tallybook.api.server import FAMILIES, NATIVE

DOCUMENTS = {
    "/v1": document("native", "0", NATIVE, native=True),
    "/api": document("families", "0", FAMILIES, native=False),
}
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for found in DOCUMENTS.values()
    for path, operations in found["paths"].items()
    for method, operation in operations.items()
}
