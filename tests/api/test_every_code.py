"""Every code that can be answered over HTTP is provoked by a test: here, or by the one that is named here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from api.cast import Cast

from tallybook.domain.errors import all_codes

TESTS = Path(__file__).parent.parent
RETURNS = {"success_url": "https://yourapp.com/ok", "cancel_url": "https://yourapp.com/no"}
LARGEST = 10**15

# Said by the command line or at start only, or a fault of the installation that no request can bring about.
NOT_OVER_HTTP = {"settings_invalid", "catalog_invalid", "seal_broken"}

# Caller, method, path and body; {…} are Ada's things.
HERE: dict[str, tuple[str, str, str, Any]] = {
    "invalid_request": ("ada", "POST", "/v1/transfers", {"amount_micro": "5"}),
    "idempotency_key_reused": ("ada", "POST", "/v1/transfers", {"amount_micro": 3}),
    "not_found": ("ada", "GET", "/v1/nowhere", None),
    "authentication_required": ("nobody", "GET", "/v1/wallets", None),
    "invalid_credentials": ("nobody", "POST", "/v1/sessions", {"email": "a@b.example", "password": "wrong"}),
    "permission_denied": ("bob", "GET", "/v1/wallets?user_id={user_id}", None),
    "admin_required": ("ada", "GET", "/v1/users", None),
    "email_taken": (
        "nobody",
        "POST",
        "/v1/users",
        {"email": "OTHER@example.com", "password": "long enough it is"},
    ),
    "email_invalid": ("nobody", "POST", "/v1/users", {"email": "nothing", "password": "long enough it is"}),
    "password_unfit": ("nobody", "POST", "/v1/users", {"email": "a@b.example", "password": "password"}),
    "user_not_found": ("admin", "GET", "/v1/users/999999", None),
    "wallet_not_found": ("bob", "GET", "/v1/wallets/{wallet}", None),
    "insufficient_credits": ("ada", "POST", "/v1/transfers", {"amount_micro": LARGEST}),
    "amount_out_of_range": (
        "full app",
        "POST",
        "/api/financial/credits/{user_id}/spend",
        {"credits": 0},
    ),
    "hold_not_found": ("ada", "GET", "/v1/holds/hld_1_999999", None),
    "capture_exceeds_hold": ("ada", "POST", "/v1/holds/{hold}/capture", {"amount_micro": LARGEST}),
    "price_not_found": ("ada", "POST", "/v1/checkouts", {"price": "nothing", **RETURNS}),
    "mode_mismatch": (
        "ada",
        "POST",
        "/v1/checkouts",
        {"price": "package_starter", "mode": "subscription", **RETURNS},
    ),
    "payment_method_unsupported": (
        "ada",
        "POST",
        "/api/credits/purchase",
        {"package_id": 1, "payment_method": "cash"},
    ),
    "url_not_allowed": (
        "ada",
        "POST",
        "/v1/checkouts",
        {"price": "package_starter", "success_url": "javascript:alert(1)", "cancel_url": "https://a.example"},
    ),
    "subscription_not_found": ("bob", "GET", "/v1/subscriptions/{subscription}", None),
    "subscription_state": ("ada", "POST", "/v1/subscriptions/{subscription}/resume", None),
    "alert_not_found": ("bob", "GET", "/v1/alerts/{alert}", None),
    "budget_not_found": ("bob", "GET", "/v1/budgets/{budget}", None),
    "payment_not_found": ("bob", "GET", "/v1/payments/{payment}", None),
    "event_not_found": ("admin", "GET", "/v1/stripe-events/evt_none", None),
    "checkout_not_found": ("bob", "GET", "/v1/checkouts/{checkout}", None),
    "payment_intent_not_found": ("bob", "GET", "/v1/payment-intents/{payment_intent}", None),
    "payment_method_not_found": (
        "ada",
        "PUT",
        "/v1/payment-methods/default",
        {"payment_method": "pm_nobodys"},
    ),
    "top_up_rule_not_found": ("admin", "GET", "/v1/top-up", None),
    "amount_not_sold": ("ada", "POST", "/v1/payment-intents", {"amount_minor": 500, "currency": "usd"}),
}
ELSEWHERE = {
    "idempotency_key_missing": "api/test_bad_input.py::test_a_native_post_needs_its_key",
    "request_too_large": "api/test_bad_input.py::test_ten_megabytes_are_refused",
    "user_inactive": "api/test_credentials.py::test_a_user_who_was_switched_off_is_refused_at_once",
    "app_not_found": "api/test_credentials.py::test_an_app_may_demand_its_key_and_may_be_switched_off",
    "api_key_required": "api/test_credentials.py::test_an_app_may_demand_its_key_and_may_be_switched_off",
    "api_key_invalid": "api/test_credentials.py::test_keys_that_ended_or_never_were_are_refused_with_their_codes",
    "api_key_expired": "api/test_credentials.py::test_keys_that_ended_or_never_were_are_refused_with_their_codes",
    "api_key_revoked": "api/test_credentials.py::test_keys_that_ended_or_never_were_are_refused_with_their_codes",
    "token_invalid": "api/test_credentials.py::test_a_token_that_does_not_count_is_401_with_its_code",
    "token_expired": "api/test_credentials.py::test_a_token_that_does_not_count_is_401_with_its_code",
    "token_revoked": "api/test_credentials.py::test_a_token_that_does_not_count_is_401_with_its_code",
    "token_foreign_app": "api/test_credentials.py::test_a_token_of_another_app_is_foreign",
    "refresh_token_reused": "api/test_credentials.py::test_a_refresh_token_serves_once_and_its_reuse_ends_the_session",
    "budget_exceeded": "api/test_budgets.py::test_a_budget_says_why_it_refuses",
    "alert_limit": "api/test_alerts.py::test_a_wallet_has_at_most_twenty_alerts_of_an_app",
    "transfer_not_found": "ledger/test_giving_back.py::test_only_what_the_app_itself_took_is_given_back",
    "give_back_exceeds": "ledger/test_giving_back.py::test_more_than_was_taken_is_not_given_back",
    "batch_refused": "ledger/test_batches.py::test_one_bad_item_refuses_all_of_them_for_ever",
    "hold_settled": "api/test_many_at_once.py::test_a_hold_is_settled_once_by_captures_and_releases_at_once",
    "balance_limit": "api/test_every_code.py::test_a_wallet_that_would_hold_too_much_is_refused",
    "event_settled": "api/test_stripe_events.py::test_what_is_settled_is_not_given_up",
    "webhook_secret_missing": "api/test_bad_webhooks.py::test_without_a_secret_nothing_is_believed_and_nothing_stored",
    "webhook_signature_invalid": "api/test_bad_webhooks.py::test_a_signature_that_proves_nothing_is_400",
    "webhook_payload_invalid": "api/test_bad_webhooks.py::test_a_signed_body_that_is_no_event_is_400",
    "pay_link_invalid": "api/test_payment_required.py::test_forged_and_changed_links_are_a_clear_page_with_a_code",
    "resume_token_invalid": "api/test_payment_required.py::test_a_resume_token_lets_the_work_be_done_once",
    "database_unavailable": "api/test_headers.py::test_a_database_that_is_away_is_503_and_says_when_to_come_back",
}
# Provoked below HTTP, where the trouble can be made: at the use case, with Stripe or the database in that state.
BELOW = {
    "reconciliation_busy": "payments/test_reconciliation_runs.py",
    "anchor_failed": "ledger/test_anchor_exports.py",
    "overloaded": "ledger/test_group_commit.py",
    "wallet_busy": "faults/test_open_transaction.py",
    "wallet_frozen": "ledger/test_money_back.py",
    "refund_exceeds": "payments/test_refunds_of_ours.py",
    "refund_not_possible": "payments/test_refunds_of_ours.py",
    "fulfilment_busy": "payments/test_fulfilment.py",
    "already_subscribed": "payments/test_one_plan_each.py",
    "subscription_superseded": "payments/test_one_plan_each.py",
    "subscription_payment_failed": "payments/test_changing_plans.py",
    "plan_change_unsupported": "payments/test_changing_plans.py",
    "promotion_code_invalid": "payments/test_promotion_codes.py",
    "tax_location_required": "payments/test_tax.py",
    "catalog_not_pushed": "payments/test_opening.py",
    "pay_link_expired": "payments/test_pay_links.py",
    "stripe_account_mismatch": "payments/test_opening.py",
    "stripe_not_configured": "payments/test_opening.py",
    "stripe_unavailable": "payments/test_stripe_failures.py",
    "stripe_refused": "payments/test_stripe_failures.py",
    "stripe_outcome_sealed": "payments/test_stripe_failures.py",
}


def test_every_code_has_a_test_that_provokes_it() -> None:
    groups = [set(HERE), set(ELSEWHERE), set(BELOW), NOT_OVER_HTTP]

    assert set().union(*groups) == all_codes().keys()
    assert sum(map(len, groups)) == len(all_codes()), "a code is in two groups"


@pytest.mark.parametrize("code", [*ELSEWHERE, *BELOW])
def test_the_test_that_is_named_exists_and_speaks_of_the_code(code: str) -> None:
    file, _, name = (ELSEWHERE | BELOW)[code].partition("::")
    text = (TESTS / file).read_text(encoding="utf-8")

    assert not name or re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)
    assert f'"{code}"' in text or all_codes()[code].__name__ in text


@pytest.mark.parametrize("code", HERE)
def test_a_request_provokes_the_code(cast: Cast, code: str) -> None:
    caller, method, path, body = HERE[code]
    ada = cast.people["ada"]
    filled = path.format(
        user_id=ada.user_id,
        wallet=ada.wallet,
        hold=ada.hold,
        checkout=ada.checkout,
        subscription=ada.subscription,
        payment_intent=ada.payment_intent,
        alert=ada.alert,
        budget=ada.budget,
        payment=ada.payment,
    )
    if code == "idempotency_key_reused":
        first = cast.ask(caller, method, filled, body | {"amount_micro": 4}, Idempotency_Key="used twice")
        assert first.status_code == 201

    answer = (
        cast.ask(caller, method, filled, body, Idempotency_Key="used twice")
        if "reused" in code
        else cast.ask(caller, method, filled, body)
    )

    assert answer.json()["code"] == code, answer.text
    assert 400 <= answer.status_code < 500


def test_a_wallet_that_would_hold_too_much_is_refused(cast: Cast) -> None:
    made = cast.ask(
        "nobody", "POST", "/v1/users", {"email": "rich@example.com", "password": "long enough it is"}
    )
    grant = {"user_id": made.json()["user_id"], "type": "grant", "amount_micro": LARGEST}
    answers = [cast.ask("admin", "POST", "/v1/transfers", grant) for _ in range(10)]

    assert [answer.status_code for answer in answers] == [201] * 9 + [409]
    assert answers[-1].json()["code"] == "balance_limit"
    seed = cast.ask("admin", "POST", f"/api/financial/credits/{grant['user_id']}/add", {"credits": 1})
    assert seed.json()["code"] == "balance_limit"
