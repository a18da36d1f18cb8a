"""The HTTP surface as one app: the native API, the seed families, the pages, and what every request passes through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tallybook.api import health, metrics, pages
from tallybook.api.documents import document
from tallybook.api.drawing import drawn, failed
from tallybook.api.families import credits, cross_app, envelopes, financial, portal, stripe, webhooks_v1
from tallybook.api.limits import BodyLimit
from tallybook.api.problems import native
from tallybook.api.requests import LogRequest, RequestLog, log_request
from tallybook.api.thin import ThinRoutes
from tallybook.api.v1 import (
    alerts,
    apps,
    batches,
    budgets,
    checkouts,
    holds,
    jwks,
    organisations,
    payment_intents,
    payments,
    products,
    reconciliations,
    saved_methods,
    sessions,
    stripe_events,
    subscriptions,
    top_ups,
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
    payments.router,
    subscriptions.router,
    payment_intents.router,
    saved_methods.setups_router,
    saved_methods.router,
    saved_methods.portal_router,
    top_ups.router,
    alerts.router,
    alerts.announcements_router,
    budgets.router,
    budgets.caps_router,
    stripe_events.router,
    reconciliations.router,
)
FAMILIES = (
    cross_app.router,
    financial.router,
    financial.subscriptions_router,
    stripe.router,
    portal.router,
    credits.router,
    webhooks_v1.router,
)
# The routes that are called a thousand times a second, answered in front of the framework (api/thin.py).
HOT = (
    transfers.create_transfer,
    holds.place_hold,
    holds.capture_hold,
    holds.release_hold,
    v1_wallets.list_wallets,
    cross_app.check_credits,
    cross_app.consume_credits,
    financial.balance,
    financial.spend,
    stripe.webhook,
    credits.webhook,
    webhooks_v1.webhook,
)
Opener = Callable[[], AbstractAsyncContextManager[Context]]


class Service(FastAPI):
    """The framework, and in front of it what every request passes through, answered by the framework or not."""

    front: ASGIApp
    thin: ThinRoutes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything comes in at the front."""
        await self.front(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the front passes on."""
        await super().__call__(scope, receive, send)


def create(
    open_context: Opener,
    *,
    allowed_origins: Sequence[str],
    version: str,
    thin: bool = True,
    log: LogRequest | None = None,
) -> Service:
    """The ASGI app; ``open_context`` is entered while it runs and gives what use cases need.

    Without ``thin`` the framework answers the hot routes too. ``log`` writes the line of each request; structlog does
    when it is None.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_context() as context:
            app.state.context = context
            yield

    app = Service(
        title="Tallybook", version=version, lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None
    )
    for router in (*NATIVE, *FAMILIES, jwks.router, health.router, metrics.router, pages.router):
        app.include_router(router)
    _add_documents(app)
    app.add_exception_handler(BillingError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, failed)
    app.add_middleware(BodyLimit)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(allowed_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Resume-Token", "X-API-Key"],
        expose_headers=["Idempotent-Replayed", "Request-Id", "Retry-After"],
    )
    hot = _routes_of(HOT) if thin else ()
    app.thin = ThinRoutes(app.framework, routes=hot, context=lambda: app.state.context, failed=failed)
    app.state.requests = requests = metrics.Requests()
    app.front = RequestLog(app.thin, log=log or log_request, count=requests.count)
    return app


def _routes_of(endpoints: Sequence[Callable[..., Any]]) -> list[APIRoute]:
    routes = [route for router in (*NATIVE, *FAMILIES) for route in router.routes]
    found = [route for route in routes if isinstance(route, APIRoute) and route.endpoint in endpoints]
    assert len(found) == len(endpoints), "each hot endpoint has one route"
    return found


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


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, BillingError)
    return drawn(refusal, request.url.path)


async def _invalid(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"]), "problem": fault["msg"]}
        for fault in problem.errors()
    ]
    first = faults[0] if faults else {"field": "body", "problem": "is not valid"}
    refusal = InvalidRequestError(f"{first['field']}: {first['problem']}", errors=faults)
    return drawn(refusal, request.url.path)


async def _http(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    if problem.status_code == 404:
        nothing = NotFoundError(f"There is nothing at {request.url.path}."[:300])
        return drawn(nothing, request.url.path)
    refusal = InvalidRequestError(str(problem.detail))
    if request.url.path.startswith("/api/"):
        answer = envelopes.drawn(refusal, request.url.path)
        answer.status_code = problem.status_code
    else:
        answer = native(refusal, status=problem.status_code)
    answer.headers.update(problem.headers or {})
    return answer
