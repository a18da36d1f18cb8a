"""The life of a checkout session: open, then complete (paid, unpaid, free) or expired.

The hosted page, the API and the control commands all end here, so there is one way to pay.
Leaves the money to ``payment``, the receipt to ``invoicing`` and plans to ``subscribing``.
"""

from dataclasses import dataclass
from typing import Literal

from stripe_sandbox import invoicing, payment, reckoning, session_intents, setup, subscribing
from stripe_sandbox.billing import collect, discounts, taxing
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import catalog
from stripe_sandbox.shapes import checkout as shapes
from stripe_sandbox.store import Where, field_is

Outcome = Literal["succeeded", "processing", "requires_action", "declined", "no_payment_required"]


@dataclass(frozen=True)
class Buyer:
    """What the buyer typed."""

    email: str | None = None
    name: str | None = None
    postal_code: str | None = None
    country: str = "US"

    @property
    def place(self) -> Json:
        """Return where the buyer lives, as far as the page asks."""
        return {"postal_code": self.postal_code, "country": self.country}

    def billing(self) -> Json:
        """Return it as billing details."""
        known = self.place if self.postal_code else None
        return {"email": self.email, "name": self.name, "address": known}


@dataclass(frozen=True)
class Result:
    """How a try to pay ended."""

    outcome: Outcome
    session: Json
    error: ApiError | None = None
    next_url: str | None = None
    """Where the buyer goes next: the success page or the 3-D Secure step."""


def success_url(session: Json) -> str:
    """Return the success page with the session's id filled in."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def email_of(call: Call, session: Json) -> str | None:
    """Return the e-mail address that is already known for a session."""
    if session["customer_email"]:
        return str(session["customer_email"])
    customer = call.store.get(session["customer"], "customer") if session["customer"] else None
    known = (customer or {}).get("email")
    return str(known) if known else None


def need_open(call: Call, session: Json) -> None:
    """Raise unless the session can still be paid."""
    if session["status"] == "open" and session["expires_at"] > call.now:
        return
    state = "expired" if session["status"] == "open" else session["status"]
    message = f"This Checkout Session is {state} and can no longer be paid."
    raise ApiError(message, code="checkout_session_not_open")


def needs_method(session: Json) -> bool:
    """Tell whether the buyer has to give a payment method, though nothing may be due today."""
    if session["mode"] == "setup" or session["amount_total"]:
        return True
    return bool(session["mode"] == "subscription" and session["payment_method_collection"] == "always")


def pay(call: Call, session: Json, method: Json | None, buyer: Buyer) -> Result:
    """Try to pay an open session; `method` is ``None`` exactly when none is needed."""
    need_open(call, session)
    session = _taxed(call, _remember_buyer(call, session, buyer), buyer)
    if method is None:
        return _done(call, session, "no_payment_required")
    if not session["amount_total"] or subscribing.paid_by_balance(call, session):
        intent = session_intents.setup_of(call, session)
        return _after_setup(call, session, setup.confirm(call, intent, method))
    intent = session_intents.payment_of(call, session, method)
    attempt = payment.confirm(call, intent, method)
    collect.after(call, attempt)
    return _after(call, call.need("checkout.session", session["id"]), attempt)


def apply_code(call: Call, session: Json, text: str) -> Json:
    """Take a promotion code that the buyer typed, in place of an earlier one."""
    need_open(call, session)
    notes = call.store.private(session["id"])
    if not session["allow_promotion_codes"] or session["payment_intent"] or notes.get("subscription"):
        message = "This session takes no promotion code, or none any more."
        raise ApiError(message, code="promotion_code_invalid", param="promotion_code")
    sources = [discounts.by_code(call, text)]
    customer, taxed = session["customer"], session["automatic_tax"]["enabled"]
    place = taxing.place_of(call, customer) if taxed else None
    lines = reckoning.reckoned(call, notes["line_items"], sources, customer=customer, place=place)
    call.store.note(session["id"], line_items=lines, discount_sources=sources)
    found = reckoning.shown(call, sources, customer)
    return call.save(session | reckoning.sums(lines) | {"discounts": found})


def authenticate(call: Call, intent: Json, *, passed: bool) -> Result | None:
    """End a 3-D Secure step, and complete the session that the intent belongs to, if any."""
    session = session_of(call, intent)
    if session is not None:
        need_open(call, session)
    if intent["object"] == "setup_intent":
        ended = setup.authenticate(call, intent, passed=passed)
        return None if session is None else _after_setup(call, session, ended)
    attempt = payment.authenticate(call, intent, passed=passed)
    collect.after(call, attempt)
    return None if session is None else _after(call, session, attempt)


def settle(call: Call, intent: Json, *, paid: bool) -> Json:
    """End a delayed payment and tell its session; returns the intent."""
    attempt = payment.settle(call, intent, paid=paid)
    collect.after(call, attempt)
    session = session_of(call, intent)
    if session is None:
        return attempt.intent
    if not paid:
        call.emit("checkout.session.async_payment_failed", session)
        return attempt.intent
    session = session | {"payment_status": "paid"}
    if session["mode"] == "payment" and session["invoice_creation"]["enabled"]:
        session["invoice"] = invoicing.for_session(call, session, attempt.intent)["id"]
    call.save(session, "checkout.session.async_payment_succeeded")
    return attempt.intent


def expire(call: Call, session: Json) -> Json:
    """Close an open session for good, and cancel a payment that was begun."""
    done = session | {"status": "expired", "url": None}
    subscribing.forget(call, session)
    if session["payment_intent"]:
        intent = call.need("payment_intent", session["payment_intent"])
        if intent["status"] in payment.CONFIRMABLE:
            payment.cancel(call, intent, "automatic")
    return call.save(done, "checkout.session.expired")


def expire_due(call: Call) -> int:
    """Expire every open session whose time is over on the call's clock; returns how many."""
    over = Where("json_extract(body, '$.expires_at') <= ?", (call.now,))
    same = Where("coalesce(json_extract(private, '$.clock'), '') = ?", (call.clock,))
    due = call.store.find("checkout.session", [field_is("status", "open"), over, same])
    for session in due:
        expire(call, session)
    return len(due)


def session_of(call: Call, intent: Json) -> Json | None:
    """Return the session that started an intent."""
    session_id = call.store.private(intent["id"]).get("checkout_session")
    return call.need("checkout.session", session_id) if session_id else None


def _after(call: Call, session: Json, attempt: payment.Attempt) -> Result:
    if attempt.error is not None:
        return Result("declined", session, attempt.error)
    intent = attempt.intent
    if intent["status"] == "requires_action":
        url = intent["next_action"]["redirect_to_url"]["url"]
        return Result("requires_action", session, next_url=url)
    paid = intent["status"] == "succeeded"
    return _done(call, session, "succeeded" if paid else "processing", intent)


def _after_setup(call: Call, session: Json, attempt: setup.Attempt) -> Result:
    if attempt.error is not None:
        return Result("declined", session, attempt.error)
    intent = attempt.intent
    if intent["status"] == "requires_action":
        url = intent["next_action"]["redirect_to_url"]["url"]
        return Result("requires_action", session, next_url=url)
    if session["mode"] == "subscription":
        subscribing.begun(call, session, call.need("payment_method", intent["payment_method"]))
    return _done(call, session, "no_payment_required")


def _remember_buyer(call: Call, session: Json, buyer: Buyer) -> Json:
    """Fix the buyer's details on the session, and make the customer if one is wanted."""
    email = email_of(call, session) or buyer.email
    details = shapes.customer_details(
        {
            "email": email,
            "name": buyer.name,
            "address": catalog.address(_address(session, buyer)),
        }
    )
    session = session | {"customer_details": details}
    notes = call.store.private(session["id"])
    wants_customer = (
        session["customer_creation"] == "always"
        or (session["invoice_creation"] or {}).get("enabled")
        or notes["payment_intent_data"].get("setup_future_usage")
    )
    if session["customer"] is None and wants_customer:
        fields = {"email": email, "name": buyer.name, "address": details["address"]}
        customer = call.add(catalog.customer(call.now, fields), "customer.created")
        session["customer"] = customer["id"]
    return call.save(session)


def _address(session: Json, buyer: Buyer) -> Json | None:
    """Return what is known of the buyer's address: where tax is reckoned, the page asks for it."""
    taxed = session["automatic_tax"]["enabled"]
    address: Json | None = buyer.place if taxed else buyer.billing()["address"]
    return address


def _taxed(call: Call, session: Json, buyer: Buyer) -> Json:
    """Reckon the tax of the place that the buyer typed, once; of the customer's own, unless that is to follow it."""
    notes = call.store.private(session["id"])
    begun = session["payment_intent"] or notes.get("subscription")
    if not session["automatic_tax"]["enabled"] or session["mode"] == "setup" or begun:
        return session
    _update_customer(call, session)
    customer, sources = session["customer"], notes["discount_sources"]
    place = taxing.place_of(call, customer) or buyer.country
    lines = reckoning.reckoned(call, notes["line_items"], sources, customer=customer, place=place)
    call.store.note(session["id"], line_items=lines)
    known = session["automatic_tax"] | {"status": "complete"}
    return call.save(session | reckoning.sums(lines) | {"automatic_tax": known})


def _done(call: Call, session: Json, outcome: Outcome, intent: Json | None = None) -> Result:
    """Complete a session, with what it sold."""
    session = call.need("checkout.session", session["id"])
    status = "no_payment_required"
    if intent is not None:
        status = "paid" if intent["status"] == "succeeded" else "unpaid"
    done = session | {
        "status": "complete",
        "payment_status": status,
        "url": None,
        "collected_information": {
            "business_name": None,
            "individual_name": None,
            "shipping_details": None,
        },
    }
    _update_customer(call, done)
    if done["mode"] == "subscription":
        subscription = subscribing.begun(call, done, None)
        done |= {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}
    elif done["mode"] == "payment":
        _redeem(call, done)
        if done["invoice_creation"]["enabled"] and status != "unpaid":
            done["invoice"] = invoicing.for_session(call, done, intent)["id"]
    call.save(done, "checkout.session.completed")
    return Result(outcome, done, next_url=success_url(done))


def _redeem(call: Call, session: Json) -> None:
    """Use up the coupons of a session in payment mode."""
    sources = call.store.private(session["id"])["discount_sources"]
    owner = {"checkout_session": session["id"], "customer": session["customer"]}
    call.store.note(session["id"], discounts=discounts.redeem(call, sources, **owner))


def _update_customer(call: Call, session: Json) -> None:
    """Copy the buyer's name or address to the customer where ``customer_update`` says so."""
    wanted = call.store.private(session["id"])["customer_update"]
    names = [name for name in ("address", "name") if wanted.get(name) == "auto"]
    if not names or session["customer"] is None:
        return
    before = call.need("customer", session["customer"])
    given = {name: session["customer_details"][name] for name in names}
    after = before | {name: value for name, value in given.items() if value}
    if after != before:
        call.save(after, "customer.updated", before)
