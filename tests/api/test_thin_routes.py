"""The hot routes answer the same in front of the framework and in it: status, headers and body, byte for byte.

The same requests go in the same order to two services, one with the thin routes and one without, over two databases
that give the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
from api.asks import ASKS as SPENDS
from api.asks import Ask
from api.asks_of_webhooks import SECRET, WEBHOOKS
from databases import FrozenClock, TestDatabase
from fastapi import FastAPI

from tallybook import app as roof
from tallybook.api import server
from tallybook.api.thin import ThinRoute
from tallybook.domain.identity.apps import AppChange
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.identity.people import Role
from tallybook.domain.money import Credits
from tallybook.settings import Settings
from tallybook.usecases import apps, holds, sessions, users, wallets
from tallybook.usecases.context import Context

ASKS = [*SPENDS, *WEBHOOKS]
OPERATOR = Caller(is_admin=True)
PASSWORD = "a good long password"


# A request's id, and the token to go on with where the caller sent no key.
_RANDOM = re.compile(rb"(tbj_1|req)_\w+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and whether the framework had a hand in it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    thin: bool


@dataclass(slots=True)
class Service:
    """One of the two, and by name what its callers send."""

    app: FastAPI
    ctx: Context
    callers: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    last: Answer = field(default_factory=lambda: Answer(0, [], b"", thin=False))

    async def ask(self, ask: Ask) -> Answer:
        """One request, with the names in its path and body filled in."""
        body, query = ask.raw(self.names), ask.query.encode()
        headers = [*self.callers[ask.caller], *ask.headers]
        if ask.method == "POST":
            headers += ask.typed + ([("content-length", str(len(body)))] if ask.length else [])
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": ask.method,
            "scheme": "http",
            "path": ask.path.format(**self.names),
            "raw_path": ask.path.format(**self.names).encode(),
            "root_path": "",
            "query_string": query.replace(b"{user}", self.names["user"].encode()),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }
        half = len(body) // 2 if ask.in_two else len(body)
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": body[:half], "more_body": half < len(body)}
        ]
        if half < len(body):
            messages.append({"type": "http.request", "body": body[half:], "more_body": False})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        try:
            await self.app(scope, receive, send)
        finally:
            body = b"".join(message.get("body", b"") for message in sent[1:])
            self.last = Answer(
                status=sent[0]["status"],
                headers=[pair for pair in sent[0]["headers"] if pair[0] != b"request-id"],
                body=_RANDOM.sub(b"", body),
                thin=isinstance(scope.get("route"), ThinRoute),
            )
        return self.last


async def furnished(service: Service, clock: FrozenClock) -> Service:
    """The same cast in the same order, so that it has the same numbers."""
    ctx = service.ctx
    registered = [await apps.register(ctx, OPERATOR, name=name) for name in ("app", "reader", "off")]
    own, reader, revoked = registered
    change = AppChange(permissions=frozenset({Permission.READ_CREDITS}))
    await apps.update(ctx, OPERATOR, reader.app.public_id, change)
    await apps.update(ctx, OPERATOR, revoked.app.public_id, AppChange(is_active=False))
    ada = await users.create_user(ctx, "ada@example.com", PASSWORD)
    idle = await users.create_user(ctx, "idle@example.com", PASSWORD)
    await users.create_user(ctx, "new@example.com", PASSWORD)
    await users.create_user(ctx, "admin@example.com", PASSWORD, Role.ADMIN)
    await users.set_active(ctx, OPERATOR, idle.user_id, is_active=False)
    granted = await wallets.grant(
        ctx, OPERATOR, user_id=ada.user_id, credits=Credits.whole(1000), key="opening"
    )
    by_app = Caller(app_id=own.app.app_id, by_key=True, permissions=own.app.permissions)
    held = [
        await wallets.place_hold(ctx, by_app, user_id=ada.user_id, credits=Credits.whole(5), key=name)
        for name in ("one", "two")
    ]
    token, handed_on = await _handed_on(ctx, by_app, ada.user_id)
    signed = await sessions.sign_in(
        ctx, email="ada@example.com", password=PASSWORD, app_public_id=own.app.public_id
    )
    admin = await sessions.sign_in(ctx, email="admin@example.com", password=PASSWORD)
    service.names = {
        "user": str(ada.user_id),
        "idle": str(idle.user_id),
        "wallet": f"wal_{granted.transfer.wallet_id}",
        "hold": held[0].transfer.wire("hld"),
        "other": held[1].transfer.wire("hld"),
        **handed_on,
        "token": signed.tokens.session_token,
        "app_id": own.app.public_id,
        "other_app": reader.app.public_id,
    }
    forged = f"{own.issued.secret[:-1]}{'0' if own.issued.secret[-1] != '0' else '1'}"
    bearer = {
        "app": own.issued.secret,
        "reader": reader.issued.secret,
        "revoked": revoked.issued.secret,
        "forged": forged,
        "gibberish": "gibberish",
        "session": signed.tokens.session_token,
        "admin": admin.tokens.session_token,
        "carrier": token,
        "no carrier": token[:-1],
    }
    service.callers = {name: [("authorization", f"Bearer {text}")] for name, text in bearer.items()} | {
        "nobody": [],
        "basic": [("authorization", "Basic YTpi")],
        "key header": [("x-api-key", own.issued.secret)],
        "reader header": [("x-api-key", reader.issued.secret)],
        "forged header": [("x-api-key", forged)],
        "both": [("authorization", f"bearer  {bearer['session']}"), ("x-api-key", own.issued.secret)],
        "doubled": [("authorization", f"Bearer {own.issued.secret}")] * 2,
    }
    return service


async def _handed_on(ctx: Context, by_app: Caller, user_id: int) -> tuple[str, dict[str, str]]:
    """A token of a third hold, and the names of that hold and of what was held by the token."""
    placed = await wallets.place_hold(ctx, by_app, user_id=user_id, credits=Credits.whole(5), key="three")
    assert placed.hold is not None
    token = (await holds.hand_on(ctx, by_app, placed.hold, key="agent")).text
    carrier = await sessions.authenticate(ctx, bearer=token, api_key=None)
    part = await wallets.place_hold(ctx, carrier, credits=Credits.whole(1), key="part")
    return token, {"handed on": placed.hold.wire("hld"), "part": part.transfer.wire("hld")}


@pytest_asyncio.fixture
async def services(
    database: TestDatabase, twin: TestDatabase, settings: Settings, clock: FrozenClock
) -> AsyncIterator[tuple[Service, Service]]:
    """One with the thin routes, one without."""
    async with AsyncExitStack() as stack:
        made = []
        for place, thin in ((database, True), (twin, False)):
            opened = await stack.enter_async_context(
                roof.open_context(settings, place.installation(), clock=clock)
            )
            ctx = replace(opened, webhook_secrets=dict.fromkeys(opened.webhook_secrets, (SECRET,)))
            app = server.create(
                _opened(ctx), allowed_origins=("https://shop.example.com",), version="0", thin=thin
            )
            await stack.enter_async_context(app.router.lifespan_context(app))
            made.append(await furnished(Service(app, ctx), clock))
        yield made[0], made[1]


def _opened(ctx: Context) -> server.Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Context]:
        yield ctx

    return opened


async def test_both_roads_give_the_same_answers(services: tuple[Service, Service]) -> None:
    thin, framework = services
    differences = []
    for ask in ASKS:
        ours, theirs = await thin.ask(ask), await framework.ask(ask)
        if (ours.status, ours.headers, ours.body) != (theirs.status, theirs.headers, theirs.body):
            differences.append(f"{ask.name}: {ours} {theirs}")
        assert not theirs.thin
        if ours.thin is not ask.thin:
            differences.append(f"{ask.name}: thin {ours.thin}, {ours.status} {ours.body!r}")

    assert not differences, "\n".join(differences)


async def test_the_requests_cover_what_can_happen(services: tuple[Service, Service]) -> None:
    thin, _ = services
    seen = [(ask, await thin.ask(ask)) for ask in ASKS]

    assert {answer.status for _, answer in seen if answer.thin} >= {200, 201, 401, 402, 403, 404, 409, 422}
    assert any((b"idempotent-replayed", b"true") in answer.headers for _, answer in seen if answer.thin)
    routes = {ask.path for ask, answer in seen if answer.thin and answer.status < 300}
    assert len(routes) >= len(server.HOT)


@pytest.mark.parametrize("name", ["plain", "wallet", "consume", "event"])
async def test_a_bug_looks_the_same_on_both_roads(services: tuple[Service, Service], name: str) -> None:
    [ask] = [one for one in ASKS if one.name == name]
    answers = []
    for service in services:
        # A context without anything in it: whatever is asked of it is a bug.
        service.app.state.context = object.__new__(Context)
        with pytest.raises(AttributeError):
            await service.ask(ask)
        answers.append(service.last)

    [ours, theirs] = answers
    assert (ours.status, ours.headers, ours.body) == (theirs.status, theirs.headers, theirs.body)
    assert ours.status == 500 and ours.thin and not theirs.thin


async def test_while_the_database_is_away_both_roads_say_so(services: tuple[Service, Service]) -> None:
    for ask in (one for one in ASKS if one.name in {"plain", "wallet", "consume", "check", "event"}):
        answers = []
        for service in services:
            await service.ctx.db.close()
            answers.append(await service.ask(ask))
        [ours, theirs] = answers
        assert (ours.status, ours.headers, ours.body) == (theirs.status, theirs.headers, theirs.body)
        assert ours.status == 503
