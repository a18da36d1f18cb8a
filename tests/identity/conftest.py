"""Fixtures of the identity tests: a customer, an app, an admin, and HTTP without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio
from databases import FrozenClock, TestDatabase
from identity import remembering
from identity.people import APP_NAME, EMAIL, PASSWORD

from tallybook.api import server
from tallybook.domain.identity.callers import Caller
from tallybook.domain.identity.people import Role, User
from tallybook.settings import Settings
from tallybook.usecases import apps, users
from tallybook.usecases.context import Context


@pytest.fixture
def operator() -> Caller:
    """The command line."""
    return Caller(is_admin=True)


@pytest_asyncio.fixture
async def user(ctx: Context) -> User:
    """A customer."""
    return await users.create_user(ctx, EMAIL, PASSWORD)


@pytest_asyncio.fixture
async def admin(ctx: Context) -> User:
    """An admin."""
    return await users.create_user(ctx, "admin@example.com", PASSWORD, Role.ADMIN)


@pytest_asyncio.fixture
async def registered(ctx: Context, operator: Caller) -> apps.Registered:
    """An app with the four permissions of document 000."""
    return await apps.register(ctx, operator, name=APP_NAME)


@pytest_asyncio.fixture
async def other(ctx: Context, operator: Caller) -> apps.Registered:
    """Another app."""
    return await apps.register(ctx, operator, name="Another")


@pytest_asyncio.fixture
async def http(ctx: Context) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole HTTP surface over this test's context."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Context]:
        yield ctx

    app = server.create(opened, allowed_origins=(), version="0")
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client


@pytest_asyncio.fixture
async def cast(
    ctx: Context, database: TestDatabase, settings: Settings, clock: FrozenClock
) -> AsyncIterator[remembering.Cast]:
    """A process that remembers, another one over the same database, and whom both know."""
    async with remembering.introduced(ctx, database, settings, clock) as found:
        yield found
