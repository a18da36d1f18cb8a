"""Who sees what of a wallet's history, and who may settle a hold.

A wallet is shared by apps that do not trust each other.
"""

from __future__ import annotations

from dataclasses import replace

from tallybook.domain.identity.callers import HOUSE_APP_ID, KEY_SEPARATOR, Caller
from tallybook.domain.ledger.requests import Hold, Transfer, Wallet


def shown_to(caller: Caller, line: Transfer) -> Transfer:
    """A transfer without what another app wrote about its own business; the user and the house see everything."""
    if caller.app_id not in (HOUSE_APP_ID, line.app_id):
        line = replace(line, key=None)
        if line.app_id != HOUSE_APP_ID:
            line = replace(line, description=None, service=None, metadata=None)
    return line if line.key is None else replace(line, key=line.key.rpartition(KEY_SEPARATOR)[2])


def may_settle(caller: Caller, hold: Hold) -> bool:
    """Whether this caller may capture or release the hold: the app that placed it, or the house.

    A session of the app's customer may settle what that session's user placed, never what the app's server holds:
    the work would be free.
    """
    if caller.rules_the_house:
        return True
    if hold.app_id != caller.app_id:
        return False
    return caller.by_key or (hold.session_user_id is not None and hold.session_user_id == caller.user_id)


def may_see(caller: Caller, wallet: Wallet, *, is_member: bool) -> bool:
    """Whether this caller may know of the wallet: its owner, a member of its organisation, an app by key, the house."""
    own = caller.user_id is not None and (wallet.owner_user_id == caller.user_id or is_member)
    return own or caller.by_key or caller.rules_the_house
