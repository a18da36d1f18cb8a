"""Schemathesis over both OpenAPI documents, against a running service, as everyone who may call.

No 500, no undocumented answer, every answer as its schema says, nothing invalid accepted, and no route that forgets to
ask who calls. TALLYBOOK_SCHEMATHESIS_EXAMPLES is how many requests each operation gets in all (60).
"""

from __future__ import annotations

import collections
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from api.cast import Cast
from api.conftest import Staging
from api.routes import DOCUMENTS, OPERATIONS
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = int(os.environ.get("TALLYBOOK_SCHEMATHESIS_EXAMPLES", "60"))
CALLERS = ("full app", "ada", "admin", "nobody")
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
]
# These end sessions of the cast, so they come last.
LAST = ("PATCH /v1/users/{user_id}", "DELETE /v1/sessions/current")
ORDER = sorted(OPERATIONS, key=lambda label: LAST.index(label) if label in LAST else -1)
# Operations that hardly any made-up request can be answered well by.
HARD = {
    # A signature, the cast's own password, and tokens cannot be made up.
    "POST /api/stripe/webhook",
    "POST /api/credits/webhook",
    "POST /api/v1/webhooks/stripe",
    "POST /api/cross-app/auth",
    "POST /api/cross-app/refresh",
    "POST /api/cross-app/validate-token",
    "POST /api/cross-app/credits/check",
    "POST /api/cross-app/credits/consume",
    "POST /v1/sessions",
    "POST /v1/sessions/refresh",
    "PUT /v1/users/me/password",
    "POST /v1/users",
    "POST /v1/checkouts",
    "POST /api/stripe/create-checkout-session",
    # The one hold that there is can be settled once, and only by its own caller.
    "POST /v1/holds/{hold}/capture",
    "POST /v1/holds/{hold}/release",
    # The spend to give back must be the app's own, the hold open, the capped app one that there is.
    "POST /v1/holds/{hold}/extend",
    "POST /v1/holds/{hold}/tokens",
    "POST /v1/transfers/{transfer}/give-back",
    "PUT /v1/caps",
    # Subscribing asks Stripe, which is not there, and the one subscription that there is ended.
    "POST /v1/subscriptions",
    "GET /v1/subscriptions/{subscription}",
    "GET /v1/subscriptions/{subscription}/preview",
    "POST /v1/subscriptions/{subscription}/change",
    "POST /v1/subscriptions/{subscription}/cancel",
    "POST /v1/subscriptions/{subscription}/reactivate",
    "POST /v1/subscriptions/{subscription}/pause",
    "POST /v1/subscriptions/{subscription}/resume",
    "POST /api/stripe/create-subscription",
    "DELETE /api/stripe/subscriptions/{id}",
    # A payment asks Stripe, and what was begun or saved is its own customer's.
    "POST /v1/payment-intents",
    "GET /v1/payment-intents/{payment_intent}",
    "POST /v1/payment-intents/{payment_intent}/complete",
    "PUT /v1/payment-methods/default",
    "DELETE /v1/payment-methods/{payment_method}",
    "PUT /v1/top-up",
    "GET /v1/top-up",
    "DELETE /v1/top-up",
    # The id of an event, a reconciliation or a finding cannot be guessed.
    "GET /v1/reconciliations/{reconciliation}",
    "POST /v1/reconciliations/findings/{finding}/acknowledge",
    "GET /v1/stripe-events/{event}",
    "POST /v1/stripe-events/{event}/replay",
    "POST /v1/stripe-events/{event}/give-up",
    # Nothing was paid for the one payment that there is.
    "POST /v1/payments/{payment}/refunds",
}
SCHEMAS = {prefix: schemathesis.openapi.from_dict(found) for prefix, found in DOCUMENTS.items()}
Answers = dict[str, collections.Counter[int]]


@pytest.fixture(scope="module")
def fuzzed(staging: Staging) -> Iterator[Cast]:
    """A service of its own: what is sent to it may switch off anybody."""
    with staging() as found:
        yield found


@pytest.fixture(scope="module")
def answers() -> Answers:
    """Which statuses each operation answered, over the whole module."""
    return collections.defaultdict(collections.Counter)


def _operation(label: str) -> APIOperation[Any, Any, Any, Any]:
    method, path = label.split(" ")
    prefix = "/v1" if path.startswith("/v1") else "/api"
    return SCHEMAS[prefix][path][method]


def _real(cast: Cast) -> dict[str, Any]:
    """Ids that exist, by the name of the path parameter: made-up ones get no further than 404."""
    ada = cast.people["ada"]
    return {
        "wallet": ada.wallet,
        "transfer": ada.transfer,
        "hold": ada.hold,
        "checkout": ada.checkout,
        "session_id": ada.stripe_session,
        "organisation": ada.organisation,
        "alert": ada.alert,
        "budget": ada.budget,
        "payment": ada.payment,
        "user_id": cast.spare_user_id,
        "app_id": cast.apps["bare app"],
        "api_key_id": cast.spare_key_id,
    }


@pytest.mark.parametrize("label", ORDER)
def test_an_operation_answers_as_its_document_says(fuzzed: Cast, answers: Answers, label: str) -> None:
    operation = _operation(label)
    known = {name: value for name, value in _real(fuzzed).items() if f"{{{name}}}" in label}
    if label.endswith("/freeze"):
        known["wallet"] = fuzzed.people["ada"].organisation_wallet

    for caller in CALLERS:
        headers = fuzzed.callers[caller]
        wanted = CHECKS if caller == "nobody" else [*CHECKS, ignored_auth]
        for mode, places in ((GenerationMode.POSITIVE, known or None), (GenerationMode.NEGATIVE, None)):
            if mode is GenerationMode.NEGATIVE and not _takes_anything(operation):
                continue
            cases = operation.as_strategy(generation_mode=mode, path_parameters=places)

            @settings(
                max_examples=max(1, EXAMPLES // (2 * len(CALLERS))),
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=cases)
            def ask(case: Case[Any]) -> None:
                for name in ("Authorization", "X-API-Key"):
                    # Made-up credentials beside the caller's own: the matrix of tokens has those.
                    if case.headers:
                        case.headers.pop(name, None)
                if mode is GenerationMode.POSITIVE:  # noqa: B023
                    _let_it_land(fuzzed, case)
                response = case.call(base_url=fuzzed.base_url, headers=headers)  # noqa: B023
                answers[label][response.status_code] += 1
                case.validate_response(response, checks=wanted, headers=headers)  # noqa: B023

            ask()


def _let_it_land(cast: Cast, case: Case[Any]) -> None:
    """Every other valid body is turned to somebody who exists and an amount that they have."""
    body = case.body
    if not isinstance(body, dict) or len(str(body)) % 2:
        return
    real = {"user_id": cast.people["ada"].user_id, "amount_micro": 1000, "credits": 0.25, "estimate_micro": 1}
    body |= {name: value for name, value in real.items() if name in body}
    if "user_id" in body:
        body.pop("wallet", None)


def _takes_anything(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    return bool(list(operation.iter_parameters())) or bool(operation.body)


def test_every_operation_was_also_answered_well(answers: Answers) -> None:
    """Else only the doors were tried: a revoked session or a wrong id would make all of this look fine."""
    badly = [
        label
        for label in OPERATIONS
        if label not in HARD and not any(200 <= status < 300 for status in answers[label])
    ]

    assert badly == [], {label: dict(answers[label]) for label in badly}
