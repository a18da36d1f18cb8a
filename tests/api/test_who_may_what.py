"""Every route of both documents against everyone who may call it; and nobody sees what is another's.

One row a route, one column a caller, the status in the cell. A route without a row fails.
"""

from __future__ import annotations

import uuid

import httpx
import pytest
from api.cast import OTHER_EMAIL, Cast
from api.requests_of_routes import BODIES, QUERIES, asked
from api.routes import OPERATIONS
from running_service import EMAIL

# What is asked is about Ada. "in app" is a session opened for an app with the four permissions of document 000, "in
# bare" for an app that may nothing. The next columns are API keys of apps: with no permission, then with a single one.
# The last one carries a token of Ada's hold.
COLUMNS = {
    "none": "nobody",
    "ada": "ada",
    "bob": "bob",
    "ada in app": "ada in app",
    "ada in bare": "ada in bare app",
    "bare": "bare app",
    "user_info": "read_user_info app",
    "read": "read_credits app",
    "consume": "consume_credits app",
    "purchase": "purchase_credits app",
    "grant": "grant_credits app",
    "refund": "refund_payments app",
    "admin": "admin",
    "admin in app": "admin in app",
    "carrier": "carrier",
}
#                                              none ada bob a@a a@b key inf rea con pur gra ref adm adm@a car
MATRIX = """
POST   /v1/users                               201 201 201 201 201 201 201 201 201 201 201 201 201 201 201
GET    /v1/users                               401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/users/me                            401 200 200 200 403 403 401 403 403 403 403 403 200 200 403
PUT    /v1/users/me/password                   401 401 401 403 403 401 401 401 401 401 401 401 401 403 401
GET    /v1/users/{user_id}                     401 200 403 200 403 403 200 403 403 403 403 403 200 403 403
PATCH  /v1/users/{user_id}                     401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/sessions                            201 201 201 201 201 401 401 401 401 401 401 401 201 201 201
POST   /v1/sessions/refresh                    401 401 401 401 401 401 401 401 401 401 401 401 401 401 401
DELETE /v1/sessions/current                    401 204 204 204 204 401 401 401 401 401 401 401 204 204 401
POST   /v1/apps                                401 403 403 403 403 403 403 403 403 403 403 403 201 403 403
GET    /v1/apps                                401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/apps/{app_id}                       401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
PATCH  /v1/apps/{app_id}                       401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/apps/{app_id}/api-keys              401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/apps/{app_id}/api-keys              401 403 403 403 403 403 403 403 403 403 403 403 201 403 403
DELETE /v1/apps/{app_id}/api-keys/{api_key_id} 401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/apps/{app_id}/database-login        401 403 403 403 403 403 403 403 403 403 403 403 201 403 403
POST   /v1/organisations                       401 403 403 403 403 403 403 403 403 403 403 403 201 403 403
GET    /v1/organisations                       401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/organisations/{organisation}        401 200 404 404 404 404 404 404 404 404 404 404 200 404 404
PUT    /v1/organisations/{organisation}/members 401 200 404 404 404 404 404 404 404 404 404 404 200 404 404
GET    /v1/wallets                             401 200 403 200 403 403 403 200 403 403 403 403 200 403 403
GET    /v1/wallets/{wallet}                    401 200 404 200 403 403 403 200 403 403 403 403 200 404 403
GET    /v1/wallets/{wallet}/transfers          401 200 404 200 403 403 403 200 403 403 403 403 200 404 403
GET    /v1/wallets/{wallet}/lots               401 200 404 200 403 403 403 200 403 403 403 403 200 404 403
PUT    /v1/wallets/{wallet}/freeze             401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
DELETE /v1/wallets/{wallet}/freeze             401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/transfers/batch                     401 200 409 200 403 403 403 403 200 403 403 403 200 409 403
POST   /v1/transfers/{transfer}/give-back      401 403 403 403 403 403 403 403 404 403 403 403 404 403 403
POST   /v1/transfers                           401 201 404 201 403 403 403 403 201 403 403 403 201 404 403
GET    /v1/transfers/{transfer}                401 200 404 200 403 403 403 200 403 403 403 403 200 404 403
POST   /v1/holds                               401 201 403 201 403 403 403 403 201 403 403 403 201 403 403
GET    /v1/holds                               401 200 404 200 403 403 403 200 403 403 403 403 200 404 403
POST   /v1/holds/{hold}/extend                 401 200 404 404 403 403 403 403 404 403 403 403 200 404 404
POST   /v1/holds/{hold}/tokens                 401 201 404 404 403 403 403 403 404 403 403 403 201 404 403
GET    /v1/holds/{hold}                        401 200 404 404 403 403 403 404 403 403 403 403 200 404 200
POST   /v1/holds/{hold}/capture                401 200 404 404 403 403 403 403 404 403 403 403 200 404 404
POST   /v1/holds/{hold}/release                401 200 404 404 403 403 403 403 404 403 403 403 200 404 404
POST   /v1/alerts                              401 201 404 403 403 403 403 201 403 403 403 403 201 403 403
GET    /v1/alerts                              401 200 404 403 403 403 403 200 403 403 403 403 200 403 403
GET    /v1/alerts/{alert}                      401 200 404 403 403 403 403 404 403 403 403 403 200 403 403
PATCH  /v1/alerts/{alert}                      401 200 404 403 403 403 403 404 403 403 403 403 200 403 403
DELETE /v1/alerts/{alert}                      401 204 404 403 403 403 403 404 403 403 403 403 204 403 403
GET    /v1/announcements                       401 200 404 403 403 403 403 200 403 403 403 403 200 403 403
POST   /v1/budgets                             401 201 404 403 403 403 403 403 201 403 403 403 201 403 403
GET    /v1/budgets                             401 200 404 403 403 403 403 403 200 403 403 403 200 403 403
GET    /v1/budgets/{budget}                    401 200 404 403 403 403 403 403 200 403 403 403 200 403 403
PATCH  /v1/budgets/{budget}                    401 200 404 403 403 403 403 403 403 403 403 403 200 403 403
PUT    /v1/caps                                401 200 200 403 403 401 401 401 401 401 401 401 200 403 401
GET    /v1/caps                                401 200 200 403 403 401 401 401 401 401 401 401 200 403 401
GET    /v1/products                            200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /v1/checkouts                           401 201 403 201 403 403 403 403 403 201 403 403 201 403 403
GET    /v1/checkouts/{checkout}                401 200 404 200 404 404 404 404 404 200 404 404 200 404 404
POST   /v1/subscriptions                       401 201 403 201 403 403 403 403 403 201 403 403 201 403 403
GET    /v1/subscriptions                       401 200 403 200 403 403 403 403 403 200 403 403 200 403 403
GET    /v1/subscriptions/{subscription}        401 200 404 200 404 404 404 404 404 200 404 404 200 404 404
GET    /v1/subscriptions/{subscription}/preview 401 409 404 409 404 404 404 404 404 409 404 404 409 404 404
POST   /v1/subscriptions/{subscription}/change 401 409 404 403 404 404 404 404 404 403 404 404 409 404 404
POST   /v1/subscriptions/{subscription}/cancel 401 409 404 409 404 404 404 404 404 409 404 404 409 404 404
POST   /v1/subscriptions/{subscription}/reactivate 401 409 404 409 404 404 404 404 404 409 404 404 409 404 404
POST   /v1/subscriptions/{subscription}/pause  401 409 404 409 404 404 404 404 404 409 404 404 409 404 404
POST   /v1/subscriptions/{subscription}/resume 401 409 404 403 404 404 404 404 404 403 404 404 409 404 404
GET    /v1/stripe-events                       401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/stripe-events/{event}               401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/stripe-events/replay                401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/stripe-events/{event}/replay        401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/stripe-events/{event}/give-up       401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/reconciliations                     401 403 403 403 403 403 403 403 403 403 403 403 202 403 403
GET    /v1/reconciliations                     401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/reconciliations/{reconciliation}    401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/reconciliations/findings            401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /v1/reconciliations/findings/{finding}/acknowledge 401 403 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/payments                            401 200 403 200 403 403 403 200 403 403 403 403 200 403 403
GET    /v1/payments/{payment}                  401 200 404 200 404 404 404 200 404 404 404 404 200 404 404
GET    /v1/payments/{payment}/refunds/preview  401 403 403 403 403 403 403 403 403 403 403 200 200 403 403
POST   /v1/payments/{payment}/refunds          401 403 403 403 403 403 403 403 403 403 403 409 409 403 403
POST   /v1/payment-intents                     401 201 403 201 403 403 403 403 403 201 403 403 201 403 403
GET    /v1/payment-intents/{payment_intent}    401 200 404 200 404 404 404 404 404 200 404 404 200 404 404
POST   /v1/payment-intents/{payment_intent}/complete 401 200 404 403 404 404 404 404 404 403 404 404 200 404 404
POST   /v1/setup-intents                       401 201 403 201 403 403 403 403 403 201 403 403 201 403 403
GET    /v1/payment-methods                     401 200 403 403 403 403 403 403 403 403 403 403 200 403 403
PUT    /v1/payment-methods/default             401 200 403 403 403 403 403 403 403 403 403 403 200 403 403
DELETE /v1/payment-methods/{payment_method}    401 404 403 403 403 403 403 403 403 403 403 403 404 403 403
POST   /v1/portal-sessions                     401 201 403 403 403 403 403 403 403 403 403 403 201 403 403
PUT    /v1/top-up                              401 200 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /v1/top-up                              401 200 403 403 403 403 403 403 403 403 403 403 200 403 403
DELETE /v1/top-up                              401 204 403 403 403 403 403 403 403 403 403 403 204 403 403
GET    /v1/top-up/charges                      401 200 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /api/cross-app/auth                     200 200 200 200 200 401 401 401 401 401 401 401 200 200 200
POST   /api/cross-app/refresh                  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401
POST   /api/cross-app/validate-token           401 401 401 200 401 401 401 401 401 401 401 401 401 401 401
POST   /api/cross-app/credits/check            401 401 401 200 401 401 401 401 401 401 401 401 401 401 401
POST   /api/cross-app/credits/consume          401 401 401 200 401 401 401 401 401 401 401 401 401 401 401
GET    /api/financial/credits/balance          401 200 200 200 403 403 403 401 403 403 403 403 200 200 403
GET    /api/financial/credits/{user_id}        401 200 403 200 403 403 403 200 403 403 403 403 200 403 403
POST   /api/financial/credits/{user_id}/add    401 403 403 403 403 403 403 403 403 403 200 403 200 403 403
POST   /api/financial/credits/{user_id}/spend  401 200 403 200 403 403 403 403 200 403 403 403 200 403 403
GET    /api/financial/subscriptions/{user_id}/summary 401 200 403 200 403 403 403 403 403 200 403 403 200 403 403
POST   /api/stripe/create-checkout-session     401 200 403 200 403 403 403 403 403 200 403 403 200 403 403
POST   /api/stripe/create-subscription         401 200 403 200 403 403 403 403 403 200 403 403 200 403 403
DELETE /api/stripe/subscriptions/{id}          401 409 404 409 404 404 404 404 404 409 404 404 409 404 404
GET    /api/stripe/subscriptions/{user_id}     401 200 403 200 403 403 403 403 403 200 403 403 200 403 403
GET    /api/stripe/user-subscriptions          401 200 200 200 403 403 403 403 403 401 403 403 200 200 403
GET    /api/stripe/customer-portal             401 200 403 403 403 403 403 403 403 403 403 403 200 403 403
POST   /api/stripe/customer-portal             401 200 403 403 403 403 403 403 403 403 403 403 200 403 403
GET    /api/stripe/products                    200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /api/stripe/webhook                     400 400 400 400 400 400 400 400 400 400 400 400 400 400 400
POST   /api/credits/purchase                   401 200 200 200 403 403 403 403 403 401 403 403 200 200 403
GET    /api/credits/session/{session_id}       401 200 404 200 404 404 404 404 404 200 404 404 200 404 404
POST   /api/credits/webhook                    400 400 400 400 400 400 400 400 400 400 400 400 400 400 400
POST   /api/v1/webhooks/stripe                 400 400 400 400 400 400 400 400 400 400 400 400 400 400 400
GET    /api/v1/webhooks/health                 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
"""
EXPECTED = {
    " ".join(words[:2]): dict(zip(COLUMNS.values(), map(int, words[2:]), strict=True))
    for words in (line.split() for line in MATRIX.strip().splitlines())
}
# What each of these shows of Ada is hers alone.
OF_ADA = [
    label for label, row in EXPECTED.items() if row["bob"] in {403, 404} and row["ada"] not in {403, 404}
]


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert EXPECTED.keys() == OPERATIONS.keys()
    assert BODIES.keys() | QUERIES.keys() <= OPERATIONS.keys()
    taking = {label for label, operation in OPERATIONS.items() if "requestBody" in operation}
    assert taking == BODIES.keys()


@pytest.mark.parametrize("label", EXPECTED)
def test_each_caller_gets_what_the_table_says(cast: Cast, label: str) -> None:
    found = {}
    for caller in COLUMNS.values():
        who = _afresh(cast, caller) if label == "DELETE /v1/sessions/current" else caller
        found[caller] = asked(cast, label, who).status_code

    wrong = {
        who: (status, EXPECTED[label][who]) for who, status in found.items() if status != EXPECTED[label][who]
    }
    assert wrong == {}, f"{label}: (answered, expected) {wrong}"


def _afresh(cast: Cast, caller: str) -> str:
    """The same caller with a session of its own, which may be ended."""
    if caller not in cast.logins:
        return caller
    token = cast.sign_in(*cast.logins[caller])["session_token"]
    cast.callers["in passing"] = {"Authorization": f"Bearer {token}"}
    return "in passing"


@pytest.mark.parametrize("label", OF_ADA)
@pytest.mark.parametrize("stranger", ["bob", "bob in app", "ada in bare app", "bare app"])
def test_what_is_anothers_is_refused_and_the_refusal_tells_nothing(
    cast: Cast, label: str, stranger: str
) -> None:
    before = cast.state()["wallets"]

    answer = asked(cast, label, stranger)

    assert answer.status_code in {403, 404}, answer.text
    # A released hold is placed for the request itself, so there the wallet moves without the stranger.
    assert "release" in label or cast.state()["wallets"] == before
    _tells_nothing(answer, EMAIL)


@pytest.mark.parametrize("label", OF_ADA)
def test_it_is_the_same_the_other_way_round(cast: Cast, label: str) -> None:
    answer = asked(cast, label, "ada", whose="bob")

    assert answer.status_code in {403, 404}, answer.text
    _tells_nothing(answer, OTHER_EMAIL)


def _tells_nothing(answer: httpx.Response, email: str) -> None:
    told = [word for word in (email, "_micro", "balance", "https://", "cus_") if word in answer.text]
    assert told == [], answer.text
    assert set(answer.json()) <= {
        "type",
        "title",
        "status",
        "detail",
        "code",
        "permission",
        "success",
        "error",
    }


@pytest.mark.parametrize(
    ("mine_not", "nobodys"),
    [
        ("/v1/wallets/{0.wallet}", "/v1/wallets/wal_999999"),
        ("/v1/wallets/{0.wallet}/transfers", "/v1/wallets/wal_999999/transfers"),
        ("/v1/transfers/{0.transfer}", "/v1/transfers/trf_999999_1"),
        ("/v1/holds/{0.hold}", "/v1/holds/hld_999999_1"),
        ("/v1/checkouts/{0.checkout}", "/v1/checkouts/chk_999999"),
        ("/v1/payment-intents/{0.payment_intent}", "/v1/payment-intents/pin_999999"),
        ("/api/credits/session/{0.stripe_session}", "/api/credits/session/cs_test_nobodys"),
        ("/v1/subscriptions/{0.subscription}", "/v1/subscriptions/sbs_999999"),
        ("/v1/subscriptions?user_id={0.user_id}", "/v1/subscriptions?user_id=999999"),
        ("/api/stripe/subscriptions/{0.user_id}", "/api/stripe/subscriptions/999999"),
        ("/v1/alerts/{0.alert}", "/v1/alerts/alr_999999"),
        ("/v1/alerts?wallet={0.wallet}", "/v1/alerts?wallet=wal_999999"),
        ("/v1/budgets/{0.budget}", "/v1/budgets/bud_999999_1"),
        ("/v1/budgets?wallet={0.wallet}", "/v1/budgets?wallet=wal_999999"),
        ("/v1/announcements?wallet={0.wallet}", "/v1/announcements?wallet=wal_999999"),
        ("/v1/organisations/{0.organisation}", "/v1/organisations/org_999999"),
        ("/v1/users/{0.user_id}", "/v1/users/999999"),
        ("/v1/wallets?user_id={0.user_id}", "/v1/wallets?user_id=999999"),
        ("/api/financial/credits/{0.user_id}", "/api/financial/credits/999999"),
    ],
)
def test_a_stranger_cannot_tell_what_is_anothers_from_what_is_not_there(
    cast: Cast, mine_not: str, nobodys: str
) -> None:
    theirs = cast.ask("bob", "GET", mine_not.format(cast.people["ada"]))
    missing = cast.ask("bob", "GET", nobodys)

    assert theirs.status_code == missing.status_code in {403, 404}
    assert theirs.json() == missing.json()


def test_nobody_but_an_admin_or_a_key_that_may_grant_adds_credits(cast: Cast) -> None:
    ada = cast.people["ada"]
    allowed = {"admin", "full app", "grant_credits app"}
    before = cast.state()["wallets"]

    for caller in cast.callers.keys() - allowed:
        for path, body in (
            ("/v1/transfers", {"type": "grant", "wallet": ada.wallet, "amount_micro": 5}),
            ("/v1/transfers", {"type": "grant", "user_id": ada.user_id, "amount_micro": 5}),
            ("/v1/transfers", {"type": "grant", "amount_micro": 5}),
            (f"/api/financial/credits/{ada.user_id}/add", {"credits": 5}),
            (f"/api/financial/credits/{ada.user_id}/add", {"credits": 5, "admin_id": 2}),
        ):
            answer = cast.ask(caller, "POST", path, body)
            assert answer.status_code in {401, 403}, (caller, path, answer.text)

    assert cast.state()["wallets"] == before


def test_a_sign_up_cannot_make_an_admin(cast: Cast) -> None:
    body = {"email": f"{uuid.uuid4().hex}@example.com", "password": "a password of the tests"}

    for more in ({"role": "admin"}, {"is_admin": True}, {"user_id": 1}):
        assert cast.ask("nobody", "POST", "/v1/users", body | more).status_code == 422

    assert cast.ask("nobody", "POST", "/v1/users", body).json()["role"] == "customer"


def test_every_route_that_asks_who_calls_says_so_in_its_document() -> None:
    public = {label for label, row in EXPECTED.items() if row["nobody"] != 401}
    # Here the token comes in the body.
    in_body = {"POST /v1/sessions/refresh"} | {label for label in EXPECTED if "/api/cross-app/" in label}

    for label, operation in OPERATIONS.items():
        assert operation.get("summary"), label
        assert bool(operation.get("security")) == (label not in public | in_body), label
        statuses = {int(status) for status in operation["responses"]}
        assert set(EXPECTED[label].values()) <= statuses, (label, "answers what it does not declare")
