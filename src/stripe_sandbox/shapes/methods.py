"""Bodies of payment methods: cards and bank debits. Leaves their behaviour to ``cards``."""

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes.catalog import address


def billing_details(fields: Json | None = None) -> Json:
    """Return complete billing details."""
    given = fields or {}
    body = {name: given.get(name) or None for name in ("email", "name", "phone", "tax_id")}
    return {"address": address(given.get("address"))} | body


def card_method(now: int, card: Json, billing: Json | None = None) -> Json:
    """Return a card payment method; `card` holds brand, last4, expiry, country and funding."""
    details: Json = {
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "unchecked",
        },
        "display_brand": card["brand"],
        "generated_from": None,
        "networks": {"available": [card["brand"]], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    return _method(now, "card", details | card, billing)


def bank_method(now: int, kind: str, billing: Json | None = None) -> Json:
    """Return a bank debit method: ``us_bank_account`` or ``sepa_debit``."""
    banks: dict[str, Json] = {
        "us_bank_account": {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "SANDBOX TEST BANK",
            "financial_connections_account": None,
            "fingerprint": new_id("fp", 16)[3:],
            "last4": "6789",
            "networks": {"preferred": "ach", "supported": ["ach"]},
            "routing_number": "110000000",
            "status_details": {},
        },
        "sepa_debit": {
            "bank_code": "37040044",
            "branch_code": None,
            "country": "DE",
            "fingerprint": new_id("fp", 16)[3:],
            "generated_from": {"charge": None, "setup_attempt": None},
            "last4": "3000",
        },
    }
    return _method(now, kind, banks[kind], billing)


def _method(now: int, kind: str, details: Json, billing: Json | None) -> Json:
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(billing),
        kind: details,
        "created": now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
    }
