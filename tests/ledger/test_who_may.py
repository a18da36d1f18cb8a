"""Who may do what with a shared wallet: customers, the apps they use, and the house stay out of each other's way."""

from __future__ import annotations

import psycopg
import pytest
from databases import TestDatabase

from tallybook.domain.errors import HoldNotFoundError, PermissionDeniedError, UserInactiveError
from tallybook.domain.identity.apps import App, AppChange
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Note
from tallybook.domain.money import Credits, Money
from tallybook.postgres import ledger
from tallybook.usecases import apps, transfers, users, wallets
from tallybook.usecases.context import Context

OPERATOR = Caller(is_admin=True)
ONE = Credits.whole(1)


async def a_customer(ctx: Context, name: str = "ada") -> int:
    user = await users.create_user(ctx, f"{name}@example.com", "a good long password")
    await wallets.grant(ctx, OPERATOR, user_id=user.user_id, credits=Credits.whole(100), key="g")
    return user.user_id


async def an_app(ctx: Context, name: str) -> App:
    made = await apps.register(ctx, OPERATOR, name=name, permissions=tuple(Permission))
    return made.app


def server_of(app: App) -> Caller:
    return Caller(
        app_id=app.app_id, app_public_id=app.public_id, by_key=True, permissions=frozenset(Permission)
    )


def session_in(app: App, user_id: int) -> Caller:
    return Caller(
        app_id=app.app_id, app_public_id=app.public_id, user_id=user_id, permissions=frozenset(Permission)
    )


async def test_a_customer_cannot_take_the_key_of_their_own_payment(ctx: Context) -> None:
    user = await a_customer(ctx)
    key = "stripe:checkout_session:cs_1:grant"
    spent = await wallets.spend(ctx, Caller(user_id=user), credits=ONE, key=key)

    async with ctx.db.transaction() as tx:
        [granted] = await ledger.post(
            tx,
            ctx.clock(),
            [
                recipes.purchase(
                    spent.transfer.wallet_id,
                    Credits.whole(10),
                    paid=Money(100, "usd"),
                    reference="cs_1",
                    key=key,
                )
            ],
            wait=True,
        )

    assert isinstance(granted, Answer)
    assert granted.available_micro == 109_000_000


async def test_a_customer_cannot_take_the_keys_of_the_apps_server(ctx: Context) -> None:
    user, app = await a_customer(ctx), await an_app(ctx, "one")
    await wallets.spend(ctx, session_in(app, user), credits=ONE, key="job-1")

    answer = await wallets.spend(ctx, server_of(app), user_id=user, credits=Credits.whole(5), key="job-1")

    assert not answer.replayed
    assert answer.amount_micro == 5_000_000


async def test_a_customer_cannot_release_what_the_apps_server_holds(ctx: Context) -> None:
    user, app = await a_customer(ctx), await an_app(ctx, "one")
    held = await wallets.place_hold(ctx, server_of(app), user_id=user, credits=Credits.whole(5), key="h")
    assert held.hold is not None

    for caller in (session_in(app, user), Caller(user_id=user), server_of(await an_app(ctx, "two"))):
        with pytest.raises(HoldNotFoundError):
            await wallets.release_hold(ctx, caller, held.hold, key="r")
    captured = await wallets.capture_hold(ctx, server_of(app), held.hold, credits=Credits.whole(5), key="c")

    assert captured.available_micro == 95_000_000


async def test_a_session_settles_what_it_placed_and_so_does_its_app(ctx: Context) -> None:
    user, app = await a_customer(ctx), await an_app(ctx, "one")
    session = session_in(app, user)
    first = await wallets.place_hold(ctx, session, credits=ONE, key="h1")
    second = await wallets.place_hold(ctx, session, credits=ONE, key="h2")
    assert first.hold is not None
    assert second.hold is not None

    await wallets.release_hold(ctx, session, first.hold, key="r1")
    answer = await wallets.release_hold(ctx, server_of(app), second.hold, key="r2")

    assert answer.held_micro == 0


async def test_the_house_can_release_a_hold_that_an_app_left_behind(ctx: Context) -> None:
    user, app = await a_customer(ctx), await an_app(ctx, "one")
    held = await wallets.place_hold(ctx, server_of(app), user_id=user, credits=ONE, key="h")
    assert held.hold is not None

    answer = await wallets.release_hold(ctx, OPERATOR, held.hold, key="stuck")

    assert answer.available_micro == 100_000_000


async def test_what_an_app_wrote_is_not_shown_to_another(ctx: Context) -> None:
    user = await a_customer(ctx)
    one, two = await an_app(ctx, "one"), await an_app(ctx, "two")
    note = Note(description="a secret job", metadata={"patient": 7})
    spent = await wallets.spend(ctx, server_of(one), user_id=user, credits=ONE, key="job-1", note=note)

    seen = {
        name: await transfers.transfer(ctx, caller, spent.transfer)
        for name, caller in {
            "itself": server_of(one),
            "another app": server_of(two),
            "the customer": Caller(user_id=user),
        }.items()
    }

    shown = {name: (line.description, line.metadata, line.key) for name, line in seen.items()}
    assert shown == {
        "itself": ("a secret job", {"patient": 7}, "job-1"),
        "another app": (None, None, None),
        "the customer": ("a secret job", {"patient": 7}, "job-1"),
    }


@pytest.mark.parametrize("by", ["user_id", "wallet_id"])
async def test_nobody_spends_for_a_user_who_is_switched_off(ctx: Context, by: str) -> None:
    user, app = await a_customer(ctx), await an_app(ctx, "one")
    wallet = await wallets.wallet_of_user(ctx, OPERATOR, user)
    by_user = by == "user_id"
    await users.set_active(ctx, OPERATOR, user, is_active=False)

    with pytest.raises(UserInactiveError):
        await wallets.spend(
            ctx,
            server_of(app),
            credits=ONE,
            key="s",
            user_id=user if by_user else None,
            wallet_id=None if by_user else wallet.wallet_id,
        )


async def test_a_session_never_adds_credits(ctx: Context) -> None:
    user, app = await a_customer(ctx), await an_app(ctx, "one")

    for caller in (session_in(app, user), Caller(user_id=user)):
        with pytest.raises(PermissionDeniedError):
            await wallets.grant(ctx, caller, credits=ONE, key="g")


@pytest.mark.parametrize("view", ["users", "credits_transactions", "credit_transactions"])
@pytest.mark.parametrize("mode", ["SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"])
async def test_an_apps_login_cannot_lock_the_tables_behind_its_views(
    ctx: Context, database: TestDatabase, view: str, mode: str
) -> None:
    app = await an_app(ctx, "one")
    login = await apps.create_database_login(ctx, OPERATOR, app.public_id)

    with (
        psycopg.connect(login.url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"LOCK TABLE {view} IN {mode} MODE")


async def test_what_the_house_does_with_a_wallet_is_audited(ctx: Context, database: TestDatabase) -> None:
    user = await a_customer(ctx)
    await wallets.spend(ctx, OPERATOR, user_id=user, credits=ONE, key="s")
    held = await wallets.place_hold(ctx, OPERATOR, user_id=user, credits=ONE, key="h")
    assert held.hold is not None
    await wallets.release_hold(ctx, OPERATOR, held.hold, key="r")
    await wallets.spend(ctx, Caller(user_id=user), credits=ONE, key="own")

    with psycopg.connect(database.superuser_url) as connection:
        acts = connection.execute(
            "SELECT action FROM tallybook.audit_log WHERE subject_kind = 'wallet' ORDER BY audit_id"
        ).fetchall()

    assert acts == [("credits.granted",), ("credits.spent",), ("hold.placed",), ("hold.released",)]


async def test_an_app_that_is_switched_off_cannot_connect_until_it_is_on_again(ctx: Context) -> None:
    app = await an_app(ctx, "one")
    login = await apps.create_database_login(ctx, OPERATOR, app.public_id)

    await apps.update(ctx, OPERATOR, app.public_id, AppChange(is_active=False))
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(login.url)
    await apps.update(ctx, OPERATOR, app.public_id, AppChange(is_active=True))

    with psycopg.connect(login.url) as connection:
        assert connection.execute("SELECT app_id()").fetchone() == (app.app_id,)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("metadata", '{"a": 1e10000}'),
        ("metadata", "[" * 40 + "]" * 40),
        ("metadata", '{"a": "%s"}' % ("x" * 17_000)),
        ("description", "x" * 1001),
        ("transaction_type", "x" * 201),
        ("idempotency_key", ""),
        ("idempotency_key", "x" * 256),
        ("idempotency_key", "user:1\x1fjob"),
    ],
)
async def test_what_could_not_be_read_back_is_not_written_over_sql(
    ctx: Context, column: str, value: str
) -> None:
    user, app = await a_customer(ctx), await an_app(ctx, "one")
    login = await apps.create_database_login(ctx, OPERATOR, app.public_id)

    with psycopg.connect(login.url) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(
            f"INSERT INTO credits_transactions (user_id, amount, {column}) VALUES (%s, -1, %s)",
            [user, value],
        )

    assert refused.value.sqlstate == "TB422"
    found = await wallets.wallet_of_user(ctx, OPERATOR, user)
    assert await transfers.history(ctx, OPERATOR, found.wallet_id, before=2**62, limit=9)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET credits = 1000000",
        "DELETE FROM users",
        "UPDATE credits_transactions SET amount = 1000000",
        "DELETE FROM credit_transactions",
    ],
)
async def test_an_app_edits_neither_balances_nor_history_over_sql(ctx: Context, statement: str) -> None:
    user, app = await a_customer(ctx), await an_app(ctx, "one")
    login = await apps.create_database_login(ctx, OPERATOR, app.public_id)

    with psycopg.connect(login.url) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(statement)

    assert refused.value.sqlstate == "55000"
    assert (await wallets.wallet_of_user(ctx, OPERATOR, user)).available_micro == 100_000_000
