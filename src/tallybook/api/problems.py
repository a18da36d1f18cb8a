"""The one table from error code to HTTP status, and the native drawing of a refusal (RFC 9457)."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from tallybook.domain.errors import BillingError

STATUS: dict[str, int] = {
    "invalid_request": 422,
    "idempotency_key_missing": 400,
    "idempotency_key_reused": 422,
    "request_too_large": 413,
    "not_found": 404,
    "overloaded": 503,
    "authentication_required": 401,
    "invalid_credentials": 401,
    "user_inactive": 403,
    "app_not_found": 401,
    "api_key_invalid": 401,
    "api_key_expired": 401,
    "api_key_revoked": 401,
    "api_key_required": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "token_revoked": 401,
    "token_foreign_app": 401,
    "refresh_token_reused": 401,
    "permission_denied": 403,
    "admin_required": 403,
    "email_taken": 409,
    "email_invalid": 422,
    "password_unfit": 422,
    "user_not_found": 404,
    "wallet_not_found": 404,
    "wallet_busy": 503,
    "wallet_frozen": 403,
    "insufficient_credits": 402,
    "amount_out_of_range": 422,
    "balance_limit": 409,
    "hold_not_found": 404,
    "hold_settled": 409,
    "capture_exceeds_hold": 409,
    "transfer_not_found": 404,
    "give_back_exceeds": 409,
    "batch_refused": 409,
    "budget_exceeded": 402,
    "budget_not_found": 404,
    "alert_not_found": 404,
    "alert_limit": 409,
    "catalog_invalid": 500,
    "price_not_found": 404,
    "mode_mismatch": 422,
    "payment_method_unsupported": 422,
    "url_not_allowed": 422,
    "checkout_not_found": 404,
    "payment_not_found": 404,
    "refund_not_possible": 409,
    "refund_exceeds": 409,
    "payment_intent_not_found": 404,
    "payment_method_not_found": 404,
    "top_up_rule_not_found": 404,
    "amount_not_sold": 422,
    "pay_link_invalid": 404,
    "pay_link_expired": 410,
    "resume_token_invalid": 422,
    "stripe_not_configured": 503,
    "stripe_unavailable": 503,
    "stripe_refused": 502,
    "stripe_outcome_sealed": 503,
    "stripe_account_mismatch": 503,
    "catalog_not_pushed": 503,
    "subscription_not_found": 404,
    "already_subscribed": 409,
    "subscription_superseded": 409,
    "subscription_state": 409,
    "subscription_payment_failed": 402,
    "plan_change_unsupported": 422,
    "promotion_code_invalid": 422,
    "tax_location_required": 422,
    "fulfilment_busy": 503,
    "webhook_secret_missing": 503,
    "webhook_signature_invalid": 400,
    "webhook_payload_invalid": 400,
    "event_not_found": 404,
    "event_settled": 409,
    "reconciliation_busy": 409,
    "seal_broken": 500,
    "settings_invalid": 500,
    "anchor_failed": 500,
    "database_unavailable": 503,
}
RETRY_AFTER_SECONDS = 1


def headers_of(refusal: BillingError) -> dict[str, str]:
    """The headers that go with a refusal: when to come back, or how to authenticate."""
    status = STATUS[refusal.code]
    if status == 503:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return {"WWW-Authenticate": "Bearer"} if status == 401 else {}


def members(refusal: BillingError) -> dict[str, Any]:
    """The members of the problem details: the standard ones, the code, and the facts beside them."""
    return {
        **refusal.facts,
        "type": f"urn:tallybook:problem:{refusal.code}",
        "title": refusal.code.replace("_", " ").capitalize(),
        "status": STATUS[refusal.code],
        "detail": refusal.message,
        "code": refusal.code,
    }


def native(refusal: BillingError, *, status: int | None = None) -> JSONResponse:
    """As RFC 9457 problem details, with the code and the facts beside the standard members.

    ``status`` is for what HTTP itself refuses (405); a code of ours has its own.
    """
    status = status or STATUS[refusal.code]
    return JSONResponse(
        members(refusal) | {"status": status},
        status_code=status,
        headers=headers_of(refusal),
        media_type="application/problem+json",
    )
