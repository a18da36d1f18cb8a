"""Who sees what of a wallet's history, and who may settle a hold.

A wallet is shared by apps that do not trust each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tallybook.domain.identity.callers import HOUSE_APP_ID, KEY_SEPARATOR, Caller, HoldToken, Permission
from tallybook.domain.ledger.requests import Answer, Hold, Transfer


def shown_to(caller: Caller, line: Transfer) -> Transfer:
    """A transfer without what another app wrote about its own business; the user and the house see everything."""
    if caller.app_id not in (HOUSE_APP_ID, line.app_id):
        line = replace(line, key=None)
        if line.app_id != HOUSE_APP_ID:
            line = replace(line, description=None, service=None, metadata=None)
    return line if line.key is None else replace(line, key=line.key.rpartition(KEY_SEPARATOR)[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedBy:
    """Who placed the holds that a caller may settle: an app, and if it is not its key that calls, a user's session.

    Of None any will do. A session of the app's customer may settle what that session's user placed, never what the
    app's server holds: the work would be free.
    """

    app_id: int | None
    session_user_id: int | None


def settled_by(caller: Caller) -> PlacedBy:
    """Which holds this caller may capture or release: those of its app, or for the house all."""
    if caller.rules_the_house:
        return PlacedBy(app_id=None, session_user_id=None)
    # No user has the number 0: a caller that is neither key nor session settles nothing.
    return PlacedBy(app_id=caller.app_id, session_user_id=None if caller.by_key else caller.user_id or 0)


def may_settle(caller: Caller, hold: Hold) -> bool:
    """Whether this caller may capture or release the hold."""
    placed_by = settled_by(caller)
    return placed_by.app_id in {None, hold.app_id} and placed_by.session_user_id in {
        None,
        hold.session_user_id,
    }


def token_reaches(token: HoldToken, hold: Hold, placed_under: str | None, permission: Permission) -> bool:
    """Whether a token's carrier may read the hold, or (``CONSUME_CREDITS``) capture, release and extend it.

    What it placed itself: the key under which the hold was placed says so, and no one else can have written it. The
    hold that the token is of it may read and hold out of, never settle.
    """
    if hold.id == token.hold_id:
        return permission is Permission.READ_CREDITS
    own = placed_under is not None and placed_under.startswith(token.key_prefix)
    return (
        own
        and hold.parent == token.hold_id
        and permission in {Permission.READ_CREDITS, Permission.CONSUME_CREDITS}
    )


def answered_to(caller: Caller, answer: Answer) -> Answer:
    """An answer without the wallet's balances, if they are not this caller's business."""
    if caller.hold_token is None:
        return answer
    return replace(
        answer, available_micro=0, held_micro=0, debt_micro=0, wallet_version=0, shows_wallet=False
    )


def may_see(caller: Caller, owner_user_id: int | None, *, is_member: bool) -> bool:
    """Whether this caller may know of a wallet: its owner, a member of its organisation, an app by key, the house."""
    own = caller.user_id is not None and (owner_user_id == caller.user_id or is_member)
    return own or caller.by_key or caller.rules_the_house
