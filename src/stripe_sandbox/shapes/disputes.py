"""Bodies of disputes. Leaves their life to ``disputing``."""

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json

_EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)


def dispute(now: int, charge: Json, fields: Json, *, due_by: int) -> Json:
    """Return a dispute of a charge; `fields` holds amount, reason and status."""
    body: Json = {
        "id": new_id("du"),
        "object": "dispute",
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(_EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": due_by,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": None,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
    }
    body |= fields
    details = charge["payment_method_details"]
    if details["type"] == "card":
        warns = body["status"].startswith("warning")
        body["payment_method_details"] = {
            "card": {
                "brand": details["card"]["brand"],
                "case_type": "inquiry" if warns else "chargeback",
                "network": details["card"]["brand"],
                "network_reason_code": "10.4",
            },
            "type": "card",
        }
    return body
