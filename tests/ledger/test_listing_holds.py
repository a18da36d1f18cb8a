"""Pages of holds: only what the caller could settle, and no page ends before the list does."""

from __future__ import annotations

from databases import TestDatabase
from ledger.books import Books

from tallybook.domain.identity.callers import Caller
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.money import Credits
from tallybook.usecases import holds
from tallybook.usecases.context import Context

ONE = Caller(app_id=1, by_key=True)
ADMIN = Caller(is_admin=True)


async def _placed(books: Books, wallet: int, app_id: int, session_user_id: int | None = None) -> LedgerId:
    key = f"{app_id}-{session_user_id}-{await books.rows('SELECT count(*) FROM tallybook.holds')}"
    answer = await books.post(
        recipes.hold(wallet, Credits.whole(1), app_id=app_id, key=key, session_user_id=session_user_id)
    )
    assert answer.hold is not None
    return answer.hold


async def _listed(ctx: Context, caller: Caller, wallet: int, limit: int = 50) -> list[LedgerId]:
    found = await holds.holds(
        ctx, caller, wallet_id=wallet, user_id=None, status="all", before=2**62, limit=limit
    )
    return [hold.id for hold in found]


async def test_holds_of_another_app_do_not_use_up_a_page(database: TestDatabase, ctx: Context) -> None:
    async with Books.open(database) as books:
        wallet = await books.a_wallet(credits=100)
        own = [await _placed(books, wallet, 1) for _ in range(2)]
        foreign = [await _placed(books, wallet, 2) for _ in range(3)]

    assert await _listed(ctx, ONE, wallet, limit=2) == own[::-1]
    assert await _listed(ctx, ADMIN, wallet) == [*foreign[::-1], *own[::-1]]


async def test_a_session_lists_what_its_user_placed_in_this_app(database: TestDatabase, ctx: Context) -> None:
    async with Books.open(database) as books:
        wallet = await books.a_wallet(credits=100)
        [row] = await books.rows(
            f"SELECT owner_user_id AS id FROM tallybook.wallets WHERE wallet_id = {wallet}"
        )
        await _placed(books, wallet, 1)
        own = await _placed(books, wallet, 1, row["id"])
        await _placed(books, wallet, 2, row["id"])
    session = Caller(app_id=1, user_id=row["id"])

    assert await _listed(ctx, session, wallet) == [own]
