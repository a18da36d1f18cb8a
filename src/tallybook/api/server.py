"""The HTTP surface as one app: the native API, the seed families, the pages, and what every request passes through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tallybook.api import health, pages
from tallybook.api.documents import document
from tallybook.api.families import credits, cross_app, envelopes, financial, stripe, webhooks_v1
from tallybook.api.limits import BodyLimit
from tallybook.api.problems import native
from tallybook.api.requests import RequestLog
from tallybook.api.v1 import (
    alerts,
    apps,
    batches,
    budgets,
    checkouts,
    holds,
    jwks,
    organisations,
    products,
    sessions,
    transfers,
    users,
)
from tallybook.api.v1 import wallets as v1_wallets
from tallybook.domain.errors import BillingError, InvalidRequestError, NotFoundError
from tallybook.usecases.context import Context

NATIVE = (
    users.router,
    sessions.router,
    apps.router,
    organisations.router,
    v1_wallets.router,
    batches.router,
    transfers.router,
    holds.router,
    products.router,
    checkouts.router,
    alerts.router,
    alerts.announcements_router,
    budgets.router,
    budgets.caps_router,
)
FAMILIES = (
    cross_app.router,
    financial.router,
    stripe.router,
    credits.router,
    webhooks_v1.router,
)
Opener = Callable[[], AbstractAsyncContextManager[Context]]


def create(open_context: Opener, *, allowed_origins: Sequence[str], version: str) -> FastAPI:
    """The ASGI app; ``open_context`` is entered while it runs and gives what use cases need."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_context() as context:
            app.state.context = context
            yield

    app = FastAPI(
        title="Tallybook", version=version, lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None
    )
    for router in (*NATIVE, *FAMILIES, jwks.router, health.router, pages.router):
        app.include_router(router)
    _add_documents(app)
    app.add_exception_handler(BillingError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(BodyLimit)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(allowed_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Resume-Token", "X-API-Key"],
        expose_headers=["Idempotent-Replayed", "Request-Id", "Retry-After"],
    )
    app.add_middleware(RequestLog)
    return app


def _add_documents(app: FastAPI) -> None:
    for prefix, title, routers in (
        ("/v1", "Tallybook API", NATIVE),
        ("/api", "Tallybook: the seed families", FAMILIES),
    ):
        found = document(title, app.version, routers, native=prefix == "/v1")
        app.add_api_route(f"{prefix}/openapi.json", _answering(found), include_in_schema=False)


def _answering(found: dict[str, Any]) -> Callable[[], Any]:
    async def answer() -> JSONResponse:
        return JSONResponse(found)

    return answer


def _draw(request: Request, refusal: BillingError) -> Response:
    if request.url.path.startswith("/api/"):
        return envelopes.drawn(refusal, request.url.path)
    return native(refusal)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, BillingError)
    return _draw(request, refusal)


async def _invalid(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"]), "problem": fault["msg"]}
        for fault in problem.errors()
    ]
    first = faults[0] if faults else {"field": "body", "problem": "is not valid"}
    return _draw(request, InvalidRequestError(f"{first['field']}: {first['problem']}", errors=faults))


async def _http(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    if problem.status_code == 404:
        return _draw(request, NotFoundError(f"There is nothing at {request.url.path}."[:300]))
    refusal = InvalidRequestError(str(problem.detail))
    if request.url.path.startswith("/api/"):
        drawn = envelopes.drawn(refusal, request.url.path)
        drawn.status_code = problem.status_code
    else:
        drawn = native(refusal, status=problem.status_code)
    drawn.headers.update(problem.headers or {})
    return drawn


async def _failed(request: Request, _: Exception) -> Response:
    # The details are in the log under the request id; a stranger gets none of them. This answer is made outside of
    # RequestLog, so it brings the header itself.
    request_id = getattr(request.state, "request_id", "")
    body = {
        "title": "Internal error",
        "status": 500,
        "code": "internal_error",
        "detail": "Something went wrong on our side. Retry with the same key; quote the Request-Id.",
        "request_id": request_id,
    }
    return JSONResponse(body, status_code=500, headers={"Request-Id": request_id})
