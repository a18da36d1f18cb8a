"""The one judgement of a session's report, the return URLs, and the waits between attempts: pure rules."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tallybook.domain.errors import UrlNotAllowedError
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments import return_urls
from tallybook.domain.payments.checkouts import Checkout, Status, judge
from tallybook.domain.payments.reports import SessionReport
from tallybook.domain.payments.retries import ATTEMPTS_MAX, wait_before_retry

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CHECKOUT = Checkout(
    checkout_id=1,
    intent_id=uuid.UUID(int=1),
    user_id=1,
    wallet_id=1,
    app_id=0,
    terms=b"",
    mode="payment",
    lookup_key="package_starter",
    product_name="Starter",
    stripe_price_id="price_1",
    quantity=1,
    credits=Credits.whole(1000),
    price=Money(1000, "usd"),
    success_url="",
    cancel_url="",
    status=Status.OPEN,
    attempt=1,
    stripe_session_id="cs_1",
    stripe_customer_id="cus_1",
    url="",
    paid_minor=None,
    payment_status=None,
    session_metadata={},
    granted_version=None,
    created_at=NOW,
    updated_at=NOW,
    expires_at=None,
)
PAID = SessionReport(
    id="cs_1",
    mode="payment",
    status="complete",
    payment_status="paid",
    amount_subtotal=1000,
    amount_total=1000,
    amount_discount=0,
    amount_tax=0,
    currency="usd",
    customer_id="cus_1",
    payment_intent_id="pi_1",
    payment_intent_status="succeeded",
    amount_refunded=0,
    charge_disputed=False,
    receipt_url=None,
    livemode=False,
    metadata={},
    url=None,
    expires_at=NOW,
)


@pytest.mark.parametrize(
    ("report", "status", "grants", "outcome"),
    [
        ({}, "paid", True, "granted"),
        (
            {
                "payment_status": "no_payment_required",
                "amount_total": 0,
                "amount_discount": 1000,
                "payment_intent_status": None,
            },
            "paid",
            True,
            "granted",
        ),
        ({"amount_total": 750, "amount_discount": 250}, "paid", True, "granted"),
        ({"amount_total": 1190, "amount_tax": 190}, "paid", True, "granted"),
        ({"amount_tax": 160}, "paid", True, "granted"),
        ({"amount_refunded": 999}, "paid", True, "granted_partly_refunded"),
        ({"amount_refunded": 1000}, "failed", False, "refunded"),
        (
            {"amount_total": 750, "amount_discount": 250, "amount_refunded": 750},
            "failed",
            False,
            "refunded",
        ),
        ({"status": "open"}, "open", False, "not_paid"),
        ({"status": "open", "payment_status": "unpaid"}, "open", False, "not_paid"),
        ({"status": None}, "open", False, "not_paid"),
        (
            {"payment_status": "unpaid", "payment_intent_status": "processing"},
            "processing",
            False,
            "not_paid",
        ),
        (
            {"payment_status": "unpaid", "payment_intent_status": "requires_payment_method"},
            "failed",
            False,
            "payment_failed",
        ),
        (
            {"payment_status": "unpaid", "payment_intent_status": "canceled"},
            "failed",
            False,
            "payment_failed",
        ),
        ({"payment_status": "something_new"}, "processing", False, "not_paid"),
        ({"status": "expired", "payment_status": "unpaid"}, "expired", False, "expired"),
        ({"amount_total": 999}, "open", False, "mismatch_amount"),
        ({"amount_subtotal": 10, "amount_total": 10}, "open", False, "mismatch_amount"),
        ({"amount_total": None}, "open", False, "mismatch_amount"),
        ({"amount_total": 940, "amount_discount": 250, "amount_tax": 190}, "paid", True, "granted"),
        ({"amount_total": 750, "amount_discount": 250, "amount_tax": 120}, "paid", True, "granted"),
        ({"amount_total": 1189, "amount_tax": 190}, "open", False, "mismatch_amount"),
        ({"amount_total": 1191, "amount_tax": 190}, "open", False, "mismatch_amount"),
        ({"amount_total": 810, "amount_tax": -190}, "open", False, "mismatch_amount"),
        ({"amount_total": 1000, "amount_tax": 1001}, "open", False, "mismatch_amount"),
        ({"amount_total": 1250, "amount_discount": -250}, "open", False, "mismatch_amount"),
        ({"amount_total": 0, "amount_discount": 1190, "amount_tax": 190}, "open", False, "mismatch_amount"),
        ({"amount_subtotal": 1190, "amount_total": 1190}, "open", False, "mismatch_amount"),
        ({"amount_total": 1200}, "open", False, "mismatch_amount"),
        ({"currency": "jpy"}, "open", False, "mismatch_currency"),
        ({"mode": "setup"}, "open", False, "mismatch_mode"),
        ({"livemode": True}, "open", False, "mismatch_livemode"),
        ({"customer_id": "cus_2"}, "open", False, "mismatch_customer"),
        ({"id": "cs_2"}, "open", False, "mismatch_session"),
    ],
)
def test_a_report_is_judged(
    report: dict[str, Any],
    status: str,
    grants: bool,
    outcome: str,
) -> None:
    judgement = judge(CHECKOUT, replace(PAID, **report), livemode=False)

    assert (judgement.status, judgement.grants, judgement.outcome) == (status, grants, outcome)


@pytest.mark.parametrize("before", [s for s in Status if s is not Status.PAID])
def test_a_payment_counts_whatever_was_reported_before(before: Status) -> None:
    judgement = judge(replace(CHECKOUT, status=before), PAID, livemode=False)

    assert judgement.grants


def test_paid_is_final() -> None:
    paid = replace(CHECKOUT, status=Status.PAID)

    for report in (PAID, replace(PAID, status="expired"), replace(PAID, payment_status="unpaid")):
        judgement = judge(paid, report, livemode=False)
        assert (judgement.status, judgement.grants) == (Status.PAID, False)


ORIGINS = ("https://pay.example", "http://localhost:3000")
DOMAINS = ("yourapp.com", "https://Shop.example/", "", "http://[")


@pytest.mark.parametrize(
    "url",
    [
        "https://pay.example/ok?x=1#y",
        "https://pay.example:443/ok",
        "http://localhost:3000/credits/success",
        "https://yourapp.com/success",
        "https://shop.example/s?session_id={CHECKOUT_SESSION_ID}",
    ],
)
def test_allowed_return_urls_are_taken_in_live_mode(url: str) -> None:
    assert return_urls.allowed(url, livemode=True, origins=ORIGINS, domains=DOMAINS) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/ok",
        "http://pay.example/ok",
        "http://yourapp.com/success",
        "https://yourapp.com.evil.example/",
        "https://sub.yourapp.com/",
        "https://pay.example:8443/",
        "http://localhost:3001/",
    ],
)
def test_other_hosts_are_refused_in_live_mode_and_taken_in_test_mode(url: str) -> None:
    with pytest.raises(UrlNotAllowedError):
        return_urls.allowed(url, livemode=True, origins=ORIGINS, domains=DOMAINS)

    assert return_urls.allowed(url, livemode=False, origins=(), domains=()) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "//evil.example",
        "ftp://pay.example/",
        "https://",
        "https://user:secret@pay.example/",
        "https://pay.example\\@evil.example/",
        "https://pay.example/\r\nSet-Cookie: a=b",
        "https://pay.example/ space",
        "https://pay.example:99999/",
        "https://[pay.example/",
        "https://p\u0430y.example/",
        "https://pay.example/" + "x" * 2000,
    ],
)
@pytest.mark.parametrize("livemode", [True, False])
def test_what_is_no_plain_web_address_is_always_refused(url: str, livemode: bool) -> None:
    with pytest.raises(UrlNotAllowedError):
        return_urls.allowed(url, livemode=livemode, origins=ORIGINS, domains=DOMAINS)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("https://own.example/done", "https://own.example/done?session_id={CHECKOUT_SESSION_ID}"),
        ("https://own.example/done?a=1#b", "https://own.example/done?a=1&session_id={CHECKOUT_SESSION_ID}#b"),
        ("https://own.example/d?s={CHECKOUT_SESSION_ID}", "https://own.example/d?s={CHECKOUT_SESSION_ID}"),
        ("https://yourapp.com/done", "https://yourapp.com/done"),
    ],
)
def test_only_our_own_page_learns_the_session_unasked(given: str, wanted: str) -> None:
    assert return_urls.with_session_id(given, "https://own.example") == wanted


def test_waits_grow_to_an_hour_and_are_spread() -> None:
    waits = [wait_before_retry(attempt, 0.999) for attempt in range(1, ATTEMPTS_MAX)]

    assert waits == sorted(waits)
    assert waits[0] < timedelta(seconds=1)
    assert timedelta(minutes=59) < waits[-1] <= timedelta(hours=1)
    assert wait_before_retry(5, 0.0) == timedelta(seconds=8)
    assert timedelta(hours=6) < sum(waits, timedelta()) < timedelta(hours=12)
