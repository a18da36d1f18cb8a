"""From a paid invoice to credits: once, whatever events come, how often and in which order."""

from __future__ import annotations

import pytest

from payments.desk import Till
from payments.subscriber import Subscriber

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def ada(till: Till) -> Subscriber:
    """The customer, who is to subscribe."""
    return Subscriber(till)


async def test_a_paid_first_invoice_brings_the_plans_credits(ada: Subscriber) -> None:
    found = await ada.subscribe("plan_professional")

    assert (str(found.status), found.lookup_key, found.paid_lookup_key) == (
        "active",
        "plan_professional",
    ) * 1 + ("plan_professional",)
    assert ada.till.credits() == 500
    assert ada.invoices() == [("subscription_create", "paid", "granted", 500)]
