"""Refusals for want of credits at a till, in few words; a plain module for the tests of this folder."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from payments.desk import Till
from tallybook.domain.errors import InsufficientCreditsError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Credits
from tallybook.usecases import wallets

APP = Caller(app_id=1, by_key=True)


async def refused(
    till: Till, *, credits: int = 5, caller: Caller | None = None, **more: Any
) -> dict[str, Any]:
    """The facts of a spend that is refused."""
    terms = {"key": None, "user_id": till.user_id} | more
    if "wallet_id" in terms:
        terms.pop("user_id")
    with pytest.raises(InsufficientCreditsError) as short:
        await wallets.spend(till.ctx, caller or APP, credits=Credits.whole(credits), **terms)
    return short.value.facts


async def a_token(till: Till, **more: Any) -> str:
    """The token of a refused spend's link."""
    return str((await refused(till, **more))["pay_url"]).rpartition("/")[2]


def at(till: Till, moment: datetime) -> Till:
    """The same till at another time."""
    return till.but(clock=lambda: moment)
