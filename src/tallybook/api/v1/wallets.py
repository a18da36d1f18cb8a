"""/v1/wallets: balances and history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from tallybook.api.deps import CallerDep, Ctx, Shape, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.shapes import LotShape, TransferShape, WalletShape
from tallybook.domain.errors import NotFoundError
from tallybook.domain.ids import LedgerId, parse_plain_id
from tallybook.usecases import freezing, lots, transfers, wallets

router = APIRouter(
    prefix="/v1/wallets", tags=["wallets"], route_class=StrictJsonRoute, responses=problems(401, 403, 404)
)
VERSION_MAX = 2**62


class WalletList(Shape):
    """The wallets asked for."""

    data: list[WalletShape]
    has_more: bool = False
    next_cursor: str | None = None


class TransferPage(Shape):
    """A page of history, newest first; ``next_cursor`` goes into ``after``."""

    data: list[TransferShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["trf_12_2"])


class LotList(Shape):
    """The lots of a wallet that still have credits, in the order in which they burn."""

    data: list[LotShape]
    has_more: bool = False
    next_cursor: str | None = None


@router.get("", summary="The wallet of a user")
async def list_wallets(
    ctx: Ctx,
    caller: CallerDep,
    user_id: Annotated[
        int | None, Query(ge=1, le=2**53 - 1, description="Whose; default: the caller's own.")
    ] = None,
) -> WalletList:
    """The default wallet of a user, opened if it was not yet."""
    found = await wallets.wallet_of_user(ctx, caller, user_id)
    return WalletList(data=[WalletShape.from_domain(found)])


@router.get("/{wallet}", summary="A wallet")
async def get_wallet(ctx: Ctx, caller: CallerDep, wallet: str) -> WalletShape:
    """A wallet as it is now."""
    found = await wallets.wallet(ctx, caller, parse_plain_id("wal", wallet))
    return WalletShape.from_domain(found)


@router.put("/{wallet}/freeze", summary="Freeze a wallet (admin)")
async def freeze_wallet(ctx: Ctx, caller: CallerDep, wallet: str) -> WalletShape:
    """Let it neither spend nor place holds; open holds are settled as ever. Repeating it is harmless."""
    found = await freezing.freeze(ctx, caller, parse_plain_id("wal", wallet), frozen=True)
    return WalletShape.from_domain(found)


@router.delete("/{wallet}/freeze", summary="Thaw a wallet (admin)")
async def thaw_wallet(ctx: Ctx, caller: CallerDep, wallet: str) -> WalletShape:
    """End an admin's freeze; one that an open dispute began stays."""
    found = await freezing.freeze(ctx, caller, parse_plain_id("wal", wallet), frozen=False)
    return WalletShape.from_domain(found)


@router.get("/{wallet}/lots", summary="A wallet's lots")
async def list_lots(ctx: Ctx, caller: CallerDep, wallet: str) -> LotList:
    """What the credits are made of: source, price, priority, expiry."""
    found = await lots.lots(ctx, caller, parse_plain_id("wal", wallet))
    return LotList(data=[LotShape.from_domain(lot) for lot in found])


@router.get("/{wallet}/transfers", summary="A wallet's history")
async def list_transfers(
    ctx: Ctx,
    caller: CallerDep,
    wallet: str,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(description="The last transfer of the page before.")] = None,
) -> TransferPage:
    """Transfers, newest first."""
    wallet_id = parse_plain_id("wal", wallet)
    cursor = LedgerId.parse("trf", after) if after else LedgerId(wallet_id, VERSION_MAX)
    if cursor.wallet_id != wallet_id:
        raise NotFoundError("This cursor belongs to another wallet.")
    found = await transfers.history(ctx, caller, wallet_id, before=cursor.version, limit=limit + 1)
    page = [TransferShape.from_domain(transfer) for transfer in found[:limit]]
    more = len(found) > limit
    return TransferPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)
