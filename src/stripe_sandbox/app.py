"""Puts the sandbox together as one ASGI application: API, hosted pages, control desk, courier, timekeeper.

Leaves the process around it to ``__main__``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stripe_sandbox import spec
from stripe_sandbox.api import (
    checkout_sessions,
    coupons,
    customers,
    dispatch,
    disputes,
    invoice_items,
    invoices,
    payment_intents,
    payment_methods,
    payment_pages,
    portals,
    prices,
    products,
    promotion_codes,
    records,
    refunds,
    setup_intents,
    subscription_items,
    subscription_schedules,
    subscriptions,
    tax_settings,
    test_clocks,
    webhook_endpoints,
)
from stripe_sandbox.control import buyers, fault_desk, money, settings, webhooks
from stripe_sandbox.delivery import Courier, Retries
from stripe_sandbox.elements import calls as element_calls
from stripe_sandbox.elements import pages as element_pages
from stripe_sandbox.hosted import invoice_pages, pages, portal
from stripe_sandbox.journal import Journal
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.store import Store
from stripe_sandbox.timekeeper import Timekeeper
from stripe_sandbox.web import acting, looking

FAMILIES = (
    checkout_sessions,
    coupons,
    customers,
    disputes,
    invoice_items,
    invoices,
    payment_intents,
    payment_methods,
    payment_pages,
    portals,
    prices,
    products,
    promotion_codes,
    records,
    refunds,
    setup_intents,
    subscription_items,
    subscription_schedules,
    subscriptions,
    tax_settings,
    test_clocks,
    webhook_endpoints,
)
"""Modules whose import enters their endpoints into the table of routes."""

_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]


def create_app(
    store: Path | None = None,
    *,
    retries: Retries | None = None,
    base_url: str = "http://127.0.0.1:12111",
    journal: Path | None = None,
) -> Starlette:
    """Return the application; `store` is the SQLite file, ``None`` keeps all in memory."""
    sandbox = Sandbox(Store(store), base_url=base_url, journal=Journal(journal))
    courier = Courier(sandbox, retries or Retries())
    timekeeper = Timekeeper(sandbox)

    def wake() -> None:
        courier.wake()
        timekeeper.wake()

    sandbox.wake = wake
    sandbox.catch_up = timekeeper.catch_up

    @asynccontextmanager
    async def life(_app: Starlette) -> AsyncIterator[None]:
        spec.match("GET", "/v1/customers")
        tasks = [asyncio.create_task(courier.run()), asyncio.create_task(timekeeper.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            sandbox.store.close()
            sandbox.journal.close()

    app = Starlette(
        routes=[
            Route("/", _home, methods=["GET"]),
            *webhooks.routes(),
            *buyers.routes(),
            *money.routes(),
            *settings.routes(),
            *fault_desk.routes(),
            *looking.routes(),
            *acting.routes(),
            *pages.routes(),
            *invoice_pages.routes(),
            *portal.routes(),
            *element_calls.routes(),
            *element_pages.routes(),
            Route("/v1/{path:path}", dispatch.answer, methods=_METHODS),
            Route("/v2/{path:path}", dispatch.answer, methods=_METHODS),
        ],
        lifespan=life,
    )
    app.state.sandbox = sandbox
    app.state.courier = courier
    return app


async def _home(_request: Request) -> Response:
    """Lead people who open the base address to what they can look at."""
    return RedirectResponse("/_sandbox/")
