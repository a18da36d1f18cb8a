"""The command line of auto top-up: a rule is set, shown and removed, and what it charged is listed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from running_service import environment, run_cli

from payments.cardholder import Cardholder
from payments.desk import Till

pytestmark = pytest.mark.timeout(300)
TERMS = ("--threshold", "50", "--monthly-cap", "10000")


class Operator:
    """Whoever types ``tallybook top-ups``."""

    def __init__(self, till: Till) -> None:
        self._env = environment(till.database, till.sandbox.base_url, 8000, "a-signing-secret")
        self._user = str(till.user_id)

    async def reads(self, verb: str, *options: str) -> Any:
        """The JSON of a command."""
        return await asyncio.to_thread(run_cli, self._env, "top-ups", verb, self._user, *options, "--json")

    async def sees(self, verb: str, *options: str) -> tuple[int, str]:
        """The status and everything that is printed."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "tallybook", "top-ups", verb, self._user, *options],
            env=self._env | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def operator(till: Till) -> Operator:
    """An operator of the till's installation."""
    return Operator(till)


async def test_a_rule_is_set_shown_charges_and_is_removed(till: Till, operator: Operator) -> None:
    ada = Cardholder(till)
    await ada.save("pm_card_visa")

    made = await operator.reads("set", *TERMS, "--price", "pack_100", "--quantity", "2")
    assert await operator.reads("charges") == []
    await ada.round()
    shown = await operator.reads("show")
    [charge] = await operator.reads("charges")
    removed = await operator.sees("remove")
    await ada.spend(180)
    await ada.round()

    assert (made["enabled"], made["threshold"], made["product"], made["quantity"]) == (
        True,
        "50",
        "pack_100",
        2,
    )
    assert (made["monthly_cap"], made["charged_this_month"]) == ("100.00 USD", "0.00 USD")
    assert (shown["charged_this_month"], shown["declines"], shown["stopped"]) == ("20.00 USD", 0, None)
    assert (charge["status"], charge["price"], charge["credits"]) == ("succeeded", "20.00 USD", "200")
    assert removed == (0, f"Auto top-up of user {till.user_id} is removed.\n")
    assert len(ada.charges()) == 1
    assert till.ask(
        "SELECT action FROM tallybook.audit_log WHERE actor_kind = 'operator' AND action LIKE 'top_up.%%'"
    ) == [
        ("top_up.set",),
        ("top_up.ended",),
    ]


async def test_a_rule_that_is_off_charges_nothing_and_a_refused_card_is_seen(
    till: Till, operator: Operator
) -> None:
    ada = Cardholder(till)
    await ada.save("pm_card_chargeCustomerFail")

    await operator.reads("set", *TERMS, "--price", "pack_100", "--off")
    await ada.round()
    off = await operator.sees("charges")
    await operator.reads("set", *TERMS, "--price", "pack_100")
    await ada.round()
    status, table = await operator.sees("charges")
    shown = await operator.reads("show")

    assert off == (0, "It has charged nothing yet.\n")
    assert status == 0
    assert "card_declined" in table or "generic_decline" in table
    assert shown["declines"] == 1


async def test_what_cannot_be_set_is_said(till: Till, operator: Operator) -> None:
    both = await operator.sees("set", *TERMS, "--price", "pack_100", "--credits", "5")
    unsold = await operator.sees("set", *TERMS, "--price", "pack_of_nobody")
    rateless = await operator.sees("set", *TERMS, "--credits", "100")
    none = await operator.sees("show")
    gone = await operator.sees("remove")

    said = ["invalid_request", "price_not_found", "amount_not_sold", "top_up_rule_not_found"]
    for code, (status, text) in zip([*said, said[-1]], [both, unsold, rateless, none, gone], strict=True):
        assert status == 1
        assert code in text
    assert till.ask("SELECT count(*) FROM tallybook.top_up_rules") == [(0,)]
