"""The manners of the API: keys, versions, parameters, idempotency, pages, expansion."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import stripe

from sandbox.conftest import Shop
from sandbox.process import Running

pytestmark = pytest.mark.timeout(60)
LIVE = "sk_" + "live_" + "0" * 24


def post(sandbox: Running, path: str, data: dict[str, str], key: str | None = None) -> httpx.Response:
    """Post a form, with an idempotency key if one is given."""
    headers = {"Idempotency-Key": key} if key else {}
    with sandbox.http() as http:
        return http.post(path, data=data, headers=headers)


def test_every_test_key_is_accepted_and_nothing_else(sandbox: Running) -> None:
    path = "/v1/customers"

    answers = {
        key: sandbox.http(key).get(path).status_code
        for key in ("sk_test_a", "sk_test_other", "", LIVE, "pk_test_a", "nonsense")
    }
    refusal = sandbox.http(LIVE).get(path).json()["error"]

    assert list(answers.values()) == [200, 200, 401, 401, 401, 401]
    assert refusal["code"] == "livemode_mismatch"
    assert "0" * 24 not in refusal["message"]


def test_a_key_may_come_as_user_name(sandbox: Running) -> None:
    basic = base64.b64encode(b"sk_test_curl:").decode()

    answer = httpx.get(
        f"{sandbox.base_url}/v1/balance",
        headers={"Authorization": f"Basic {basic}"},
        trust_env=False,
    )

    assert answer.status_code == 200
    assert answer.headers["request-id"].startswith("req_")


def test_only_the_pinned_version_is_rendered(sandbox: Running) -> None:
    http = sandbox.http()

    pinned = http.get("/v1/balance", headers={"Stripe-Version": stripe.api_version})
    unknown = http.get("/v1/balance", headers={"Stripe-Version": "1999-01-01"})

    assert pinned.headers["stripe-version"] == stripe.api_version
    assert unknown.status_code == 400
    assert "1999-01-01" in unknown.json()["error"]["message"]


def test_an_older_version_gets_the_older_shapes(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    old = {"Stripe-Version": "2023-10-16"}
    expand = {"expand[]": ["payment_intent.latest_charge", "invoice"]}

    with shop.sandbox.http() as http:
        answer = http.get(f"/v1/checkout/sessions/{session.id}", params=expand, headers=old)
        new = http.get(f"/v1/checkout/sessions/{session.id}", params=expand).json()

    body = answer.json()
    intent, invoice = body["payment_intent"], body["invoice"]
    assert (answer.headers["stripe-version"], body["ui_mode"]) == ("2023-10-16", "hosted")
    assert (intent["invoice"], invoice["payment_intent"]) == (invoice["id"], intent["id"])
    assert intent["latest_charge"]["invoice"] == invoice["id"]
    assert (invoice["paid"], "parent" in invoice) == (True, False)
    assert invoice["lines"]["data"][0]["price"]["id"] == shop.price
    assert (new["ui_mode"], "invoice" in new["payment_intent"]) == ("hosted_page", False)


@pytest.mark.parametrize(
    ("path", "data", "code", "param"),
    [
        ("customers", {"nmae": "x"}, "parameter_unknown", "nmae"),
        ("prices", {"currency": "usd"}, "parameter_missing", "product"),
        ("payment_intents", {"amount": "ten", "currency": "usd"}, "parameter_invalid_integer", "amount"),
        ("payment_intents", {"currency": "usd"}, "parameter_missing", "amount"),
        ("checkout/sessions", {"mode": "subscription"}, "parameter_missing", "success_url"),
        ("refunds", {"charge": "ch_none"}, "resource_missing", "charge"),
        ("customers", {"email": "nobody"}, "email_invalid", "email"),
        ("customers", {"next_invoice_sequence": "5"}, "sandbox_unsupported", "next_invoice_sequence"),
    ],
)
def test_bad_parameters_are_refused_by_name(
    sandbox: Running, path: str, data: dict[str, str], code: str, param: str
) -> None:
    answer = post(sandbox, f"/v1/{path}", data)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)


def test_an_unknown_object_is_not_found(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.customers.retrieve("cus_none")

    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_a_route_left_to_later_says_so(sandbox: Running) -> None:
    answer = sandbox.http().get("/v1/quotes")
    nowhere = sandbox.http().get("/v1/nowhere")

    assert (answer.status_code, nowhere.status_code) == (404, 404)
    assert "does not implement" in answer.json()["error"]["message"]
    assert "Unrecognized" in nowhere.json()["error"]["message"]


def test_the_same_key_repeats_the_first_answer(sandbox: Running) -> None:
    first = post(sandbox, "/v1/customers", {"email": "a@example.com"}, "key-repeat")

    again = post(sandbox, "/v1/customers", {"email": "a@example.com"}, "key-repeat")

    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]


def test_the_same_key_with_other_parameters_is_refused(sandbox: Running) -> None:
    post(sandbox, "/v1/customers", {"email": "a@example.com"}, "key-other")

    answer = post(sandbox, "/v1/customers", {"email": "b@example.com"}, "key-other")

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "idempotency_error"


def test_a_refused_validation_is_not_kept_but_a_decline_is(sandbox: Running) -> None:
    invalid = post(sandbox, "/v1/customers", {"nmae": "x"}, "key-invalid")
    corrected = post(sandbox, "/v1/customers", {"name": "x"}, "key-invalid")
    declined = {
        "amount": "500",
        "currency": "usd",
        "confirm": "true",
        "payment_method": "pm_card_chargeDeclined",
    }

    answers = [post(sandbox, "/v1/payment_intents", declined, "key-declined") for _ in range(2)]

    assert (invalid.status_code, corrected.status_code) == (400, 200)
    assert [answer.status_code for answer in answers] == [402, 402]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"


def test_a_key_in_use_is_a_conflict(sandbox: Running) -> None:
    sandbox.control("settings", latency_ms=400)
    try:
        with ThreadPoolExecutor(5) as pool:
            answers = list(
                pool.map(lambda _: post(sandbox, "/v1/customers", {"name": "once"}, "key-busy"), range(5))
            )
    finally:
        sandbox.control("settings", latency_ms=0)

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    codes = {a.json()["error"]["code"] for a in answers if a.status_code == 409}
    assert codes == {"idempotency_key_in_use"}
    assert post(sandbox, "/v1/customers", {"name": "once"}, "key-busy").status_code == 200


def test_pages_follow_each_other_both_ways(client: stripe.StripeClient) -> None:
    product = client.v1.products.create({"name": "Many"})
    made = [
        client.v1.prices.create({"product": product.id, "unit_amount": amount, "currency": "usd"}).id
        for amount in range(1, 8)
    ]

    first = client.v1.prices.list({"product": product.id, "limit": 3})
    walked = [price.id for price in first.auto_paging_iter()]
    back = client.v1.prices.list({"product": product.id, "limit": 3, "ending_before": made[0]})

    assert walked == list(reversed(made))
    assert first.has_more is True
    assert [price.id for price in back.data] == [made[3], made[2], made[1]]
    assert back.has_more is True


def test_a_lookup_key_moves_only_when_asked(client: stripe.StripeClient) -> None:
    product = client.v1.products.create({"name": "Plan"})
    price = {"product": product.id, "unit_amount": 500, "currency": "usd", "lookup_key": "plan-a"}
    old = client.v1.prices.create(price)  # type: ignore[arg-type]

    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        client.v1.prices.create(price | {"unit_amount": 700})  # type: ignore[arg-type]
    new = client.v1.prices.create(
        price | {"unit_amount": 700, "transfer_lookup_key": True}  # type: ignore[arg-type]
    )

    found = client.v1.prices.list({"lookup_keys": ["plan-a"], "expand": ["data.product"]})
    assert [(one.id, one.product.name) for one in found.data] == [(new.id, "Plan")]  # type: ignore[union-attr]
    assert client.v1.prices.retrieve(old.id).lookup_key is None


def test_metadata_is_merged_and_emptied(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"metadata": {"a": "1", "b": "2"}, "phone": "1"})

    merged = client.v1.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}, "phone": "2"})
    emptied = client.v1.customers.update(customer.id, {"metadata": ""})

    assert merged.metadata is not None
    assert merged.metadata.to_dict() == {"a": "1", "c": "3"}
    assert merged.phone == "2"
    assert emptied.metadata is not None
    assert emptied.metadata.to_dict() == {}
    events = client.v1.events.list({"type": "customer.updated", "limit": 2}).data
    assert events[1].data.to_dict()["previous_attributes"] == {
        "metadata": {"b": "2", "c": None},
        "phone": "1",
    }


def test_a_deleted_customer_is_a_stub_and_cannot_be_used(shop: Shop) -> None:
    shop.client.v1.customers.delete(shop.customer)

    assert shop.client.v1.customers.retrieve(shop.customer).deleted is True
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.session()
    assert (refused.value.code, refused.value.param) == ("resource_missing", "customer")


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
async def test_the_asynchronous_client_works_too(sandbox: Running) -> None:
    transport = stripe.HTTPXClient()
    client = stripe.StripeClient(
        "sk_test_async", base_addresses={"api": sandbox.base_url}, http_client=transport
    )

    made = await asyncio.gather(
        *(client.v1.customers.create_async({"name": f"n{place}"}) for place in range(5))
    )
    await transport.close_async()  # type: ignore[no-untyped-call]

    assert len({customer.id for customer in made}) == 5
