"""What a rule needs to know of a wallet before a caller may act on it, read in the caller's own transaction."""

from __future__ import annotations

from tallybook.domain.errors import HoldNotFoundError, UserNotFoundError, WalletNotFoundError
from tallybook.domain.identity.callers import Caller, HoldToken, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.requests import Hold, Wallet
from tallybook.domain.ledger.sight import may_see, may_settle, token_reaches
from tallybook.postgres import ledger
from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("access")


async def place_of_user(tx: Transaction, user_id: int) -> tuple[bool, int | None]:
    """Whether a user is active, and their default wallet if it is open.

    Raises:
        UserNotFoundError: there is no such user.
    """
    row = await tx.maybe(_SQL.place_of_user, user_id=user_id)
    if row is None:
        raise UserNotFoundError(user_id=user_id)
    return row["is_active"], row["wallet_id"]


async def is_member(tx: Transaction, organisation_id: int | None, user_id: int) -> bool:
    """Whether a user belongs to an organisation that owns wallets."""
    if organisation_id is None:
        return False
    row = await tx.one(_SQL.is_member, organisation_id=organisation_id, user_id=user_id)
    return bool(row["is_member"])


async def visible_wallet(tx: Transaction, caller: Caller, wallet_id: int, permission: Permission) -> Wallet:
    """The wallet, if the caller may act on it; a stranger learns nothing, not even that it exists.

    Raises:
        PermissionDeniedError: the caller's app lacks the permission. WalletNotFoundError: none, or not theirs.
    """
    caller.require(permission)
    found = await ledger.wallet(tx, wallet_id)
    member = caller.user_id is not None and await is_member(tx, found.owner_organisation_id, caller.user_id)
    if not may_see(caller, found.owner_user_id, is_member=member):
        raise WalletNotFoundError
    return found


async def own_hold(tx: Transaction, caller: Caller, hold_id: LedgerId, permission: Permission) -> Hold:
    """The hold, if the caller may settle it; or if they carry a token that reaches it with this permission.

    Raises:
        HoldNotFoundError: none, or another app's, user's or token's.
    """
    if caller.hold_token is not None:
        return await _hold_under(tx, caller.hold_token, hold_id, permission)
    try:
        await visible_wallet(tx, caller, hold_id.wallet_id, permission)
    except WalletNotFoundError:
        raise HoldNotFoundError from None
    found = await ledger.hold(tx, hold_id)
    if not may_settle(caller, found):
        raise HoldNotFoundError
    return found


async def _hold_under(tx: Transaction, token: HoldToken, hold_id: LedgerId, permission: Permission) -> Hold:
    found = await ledger.hold(tx, hold_id)
    placing = await ledger.transfer(tx, hold_id)
    placed_under = None if placing is None else placing.key
    if not token_reaches(token, found, placed_under, permission):
        raise HoldNotFoundError
    return found
