"""One well-formed request for each route, about things of the customer Ada: what the matrix of callers sends."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
from api.cards import set_top_up
from api.cast import OTHER_PASSWORD, SPARE_EMAIL, SPARE_PASSWORD, Cast
from api.rows import a_finding

BUYING = {
    "success_url": "https://yourapp.com/ok",
    "cancel_url": "https://yourapp.com/no",
    "user_id": "{user_id}",
}
# A session token in the body, as document 000 has it: the caller's own, else none that counts.
IN_BODY = {"session_token": "{token}", "app_id": "{entered}"}
SIGN_IN = {"email": SPARE_EMAIL, "password": SPARE_PASSWORD}

# Where the path itself does not say it all: the query.
QUERIES = {
    "GET /v1/wallets": "?user_id={user_id}",
    "GET /v1/holds": "?wallet={wallet}",
    "GET /v1/subscriptions": "?user_id={user_id}",
    "GET /v1/subscriptions/{subscription}/preview": "?price=plan_business",
    "GET /v1/alerts": "?wallet={wallet}",
    "GET /v1/budgets": "?wallet={wallet}",
    "GET /v1/announcements": "?wallet={wallet}",
    "GET /v1/payments": "?user_id={user_id}",
    "GET /v1/payment-methods": "?user_id={user_id}",
    "DELETE /v1/payment-methods/{payment_method}": "?user_id={user_id}",
    "GET /v1/top-up": "?user_id={user_id}",
    "DELETE /v1/top-up": "?user_id={user_id}",
    "GET /v1/top-up/charges": "?user_id={user_id}",
    "GET /api/stripe/customer-portal": "?user_id={user_id}",
}
# A body of nothing but "{name}" is replaced by the thing itself; a route without a row here has no body.
BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/users": {"email": "{fresh}@example.com", "password": OTHER_PASSWORD},
    # With a wrong old password, so that nobody's password changes.
    "PUT /v1/users/me/password": {"old_password": "not it at all", "new_password": OTHER_PASSWORD},
    "PATCH /v1/users/{user_id}": {"is_active": True},
    "POST /v1/sessions": SIGN_IN,
    "POST /v1/sessions/refresh": {"refresh_token": "none"},
    "POST /v1/apps": {"name": "One more"},
    "PATCH /v1/apps/{app_id}": {"name": "bare app"},
    "POST /v1/apps/{app_id}/api-keys": {},
    "POST /v1/organisations": {"name": "One more", "owner_user_id": "{user_id}"},
    "PUT /v1/organisations/{organisation}/members": {"user_id": "{spare}"},
    "POST /v1/transfers": {"wallet": "{wallet}", "amount_micro": 1},
    "POST /v1/transfers/batch": {"mode": "all", "items": [{"wallet": "{wallet}", "amount_micro": 1}]},
    "POST /v1/transfers/{transfer}/give-back": {"amount_micro": 1},
    "POST /v1/holds/{hold}/extend": {"lifetime_seconds": 60},
    "POST /v1/holds/{hold}/tokens": {"lifetime_seconds": 60},
    "POST /v1/holds": {"user_id": "{user_id}", "amount_micro": 1},
    # In part and not final, so that one hold serves everyone.
    "POST /v1/holds/{hold}/capture": {"amount_micro": 1, "final": False},
    "POST /v1/holds/{hold}/release": {},
    "POST /v1/alerts": {"kind": "low_balance", "wallet": "{wallet}", "amount_micro": 5},
    # Always the same terms, so that nothing begins anew.
    "PATCH /v1/alerts/{alert}": {"amount_micro": 7},
    "POST /v1/budgets": {"wallet": "{wallet}", "name": "a team", "limit_micro": 5},
    "PATCH /v1/budgets/{budget}": {"limit_micro": None},
    "PUT /v1/caps": {"app_id": "{app_id}", "limit_micro": 5},
    "POST /v1/payments/{payment}/refunds": {"amount_minor": 1},
    "POST /v1/reconciliations": {"apply": False},
    "POST /v1/reconciliations/findings/{finding}/acknowledge": {"reason": "a gift"},
    "POST /v1/stripe-events/replay": {"ids": ["{event}"]},
    "POST /v1/stripe-events/{event}/give-up": {"reason": "paid back by hand"},
    "POST /v1/checkouts": {"price": "package_starter", **BUYING},
    # Each takes the place of the one before: nothing is paid.
    "POST /v1/subscriptions": {"price": "plan_starter", "user_id": "{user_id}"},
    "POST /v1/subscriptions/{subscription}/change": {"price": "plan_business"},
    "POST /v1/subscriptions/{subscription}/cancel": {},
    "POST /v1/subscriptions/{subscription}/pause": {},
    "POST /v1/payment-intents": {"price": "pack_100", "user_id": "{user_id}"},
    "POST /v1/payment-intents/{payment_intent}/complete": {},
    "POST /v1/setup-intents": {"user_id": "{user_id}"},
    "PUT /v1/payment-methods/default": {"payment_method": "{payment_method}", "user_id": "{user_id}"},
    "POST /v1/portal-sessions": {"user_id": "{user_id}"},
    # Switched off, so that nothing is charged meanwhile.
    "PUT /v1/top-up": {
        "threshold_micro": 5,
        "price": "pack_100",
        "monthly_cap_minor": 1000,
        "enabled": False,
        "user_id": "{user_id}",
    },
    "POST /api/stripe/customer-portal": {"user_id": "{user_id}"},
    "POST /api/cross-app/auth": {"app_id": "{entered}", **SIGN_IN},
    "POST /api/cross-app/refresh": {"refresh_token": "none"},
    "POST /api/cross-app/validate-token": IN_BODY,
    "POST /api/cross-app/credits/check": {**IN_BODY, "required_credits": 1},
    "POST /api/cross-app/credits/consume": {**IN_BODY, "credits": 0.000001},
    "POST /api/financial/credits/{user_id}/add": {"credits": 1},
    "POST /api/financial/credits/{user_id}/spend": {"credits": 0.000001},
    "POST /api/stripe/create-checkout-session": {"price_id": "package_starter", **BUYING},
    "POST /api/stripe/create-subscription": {"price_id": "plan_starter", "user_id": "{user_id}"},
    "POST /api/stripe/webhook": {},
    "POST /api/credits/purchase": {"package_id": 1},
    "POST /api/credits/webhook": {},
    "POST /api/v1/webhooks/stripe": {},
}


def asked(cast: Cast, label: str, caller: str, *, whose: str = "ada") -> httpx.Response:
    """The route's request, by a caller, about a customer's things."""
    method, path = label.split(" ")
    person = cast.people[whose]
    things: dict[str, Any] = {
        "user_id": person.user_id,
        # Frozen, a wallet of its own, so that the customer's goes on spending.
        "wallet": person.organisation_wallet if path.endswith("/freeze") else person.wallet,
        "payment": person.payment,
        "transfer": person.transfer,
        "budget": person.budget,
        # Released for good, so a hold of its own each time.
        "hold": cast.place_hold(whose) if path.endswith("/release") else person.hold,
        # Ended for good, so an alert of its own for those who may.
        "alert": cast.set_alert(whose)
        if label.startswith("DELETE /v1/alerts") and caller in {whose, "admin"}
        else person.alert,
        # A worker may be at an event, so one of its own that is dead.
        "event": cast.make_event() if "/v1/stripe-events/" in path else "",
        **dict(
            zip(("reconciliation", "finding"), a_finding(cast.running.database), strict=True)
            if "/v1/reconciliations/" in path
            else ()
        ),
        "checkout": person.checkout,
        "subscription": person.subscription,
        "id": person.subscription,
        "payment_intent": person.payment_intent,
        # Removed for good, so one that is nobody's for those who may.
        "payment_method": "pm_nobodys" if label.startswith("DELETE ") else person.payment_method,
        "session_id": person.stripe_session,
        "organisation": person.organisation,
        "app_id": cast.apps["bare app"],
        "api_key_id": cast.spare_key_id,
        "spare": cast.spare_user_id,
        "fresh": uuid.uuid4().hex,
        "token": cast.tokens.get(caller, "none"),
        "entered": cast.apps["seed app"],
    }
    if label == "DELETE /v1/top-up" and caller in {whose, "admin"}:
        set_top_up(cast, whose)
    place = (path + QUERIES.get(label, "")).format(**things)
    body = BODIES.get(label)
    filled = None if body is None else {name: _filled(value, things) for name, value in body.items()}
    return cast.ask(caller, method, place, filled)


def _filled(value: Any, things: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_filled(one, things) for one in value]
    if isinstance(value, dict):
        return {name: _filled(one, things) for name, one in value.items()}
    if not isinstance(value, str) or "{" not in value:
        return value
    name = value[1:-1]
    return things[name] if name in things and value[-1] == "}" else value.format(**things)
