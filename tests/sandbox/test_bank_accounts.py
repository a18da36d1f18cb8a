"""Bank accounts by IBAN, goods that are sent, parameters of older versions: what the fixtures of the Stripe CLI use."""

import json
import socket

import httpx
import stripe

from sandbox.conftest import Shop
from sandbox.process import KEY, Running

ADDRESS = {"city": "London", "country": "GB", "line1": "71 Crown Street", "postal_code": "W10 2WB"}


def post(sandbox: Running, path: str, version: str = "", **form: str) -> dict[str, object]:
    """Post as a program that is not the SDK; gives back the answer."""
    headers = {"Stripe-Version": version} if version else {}
    body = sandbox.http().post(f"/v1/{path}", data=form, headers=headers).json()
    assert isinstance(body, dict)
    return body


def debited(client: stripe.StripeClient, iban: str) -> stripe.PaymentIntent:
    """Pay by debit from an account."""
    method = client.v1.payment_methods.create({"type": "sepa_debit", "sepa_debit": {"iban": iban}})
    assert (method.sepa_debit.last4, method.sepa_debit.country) == (iban[-4:], iban[:2])  # type: ignore[union-attr]
    return client.v1.payment_intents.create(
        {"amount": 1000, "currency": "eur", "confirm": True, "payment_method": method.id}
    )


def test_a_debit_is_processing_first_and_ends_as_its_account_says(client: stripe.StripeClient) -> None:
    accounts = {
        "AT611904300234573201": "succeeded",
        "AT861904300235473202": "requires_payment_method",
        "AT321904300235473204": "processing",
    }
    for iban, ended in accounts.items():
        intent = debited(client, iban)

        assert intent.status == "processing"
        # No waiting: what is due has happened before the next request is answered.
        assert client.v1.payment_intents.retrieve(intent.id).status == ended


def test_a_number_that_is_no_iban_is_refused(sandbox: Running) -> None:
    for iban in ("AT611904300234573202", "nonsense"):
        refusal = post(sandbox, "payment_methods", type="sepa_debit", **{"sepa_debit[iban]": iban})["error"]

        assert refusal["code"] == "invalid_bank_account_iban"  # type: ignore[index]


def test_method_types_are_taken_from_older_callers_only(sandbox: Running) -> None:
    form = {"amount": "500", "currency": "usd", "payment_method_types[]": "card"}

    unnamed = post(sandbox, "payment_intents", **form)
    older = post(sandbox, "payment_intents", "2025-02-24.acacia", **form)
    newest = post(sandbox, "payment_intents", "2026-10-28.endive", **form)
    strange = post(sandbox, "payment_intents", **(form | {"payment_method_types[]": "shells"}))

    assert [unnamed["payment_method_types"], older["payment_method_types"]] == [["card"], ["card"]]
    assert newest["error"]["code"] == "payment_method_types_no_longer_supported"  # type: ignore[index]
    assert "card, sepa_debit" in strange["error"]["message"]  # type: ignore[index]


def test_an_intent_refuses_methods_of_types_that_it_does_not_take(sandbox: Running) -> None:
    form = {"currency": "usd", "confirm": "true", "payment_method": "pm_card_visa"}

    paid = post(sandbox, "payment_intents", amount="500", **form, **{"payment_method_types[]": "card"})
    refused = post(
        sandbox, "payment_intents", amount="500", **form, **{"payment_method_types[]": "us_bank_account"}
    )
    setup = {"confirm": "true", "payment_method": "pm_card_visa", "payment_method_types[]": "sepa_debit"}

    assert paid["status"] == "succeeded"
    assert "not allowed" in refused["error"]["message"]  # type: ignore[index]
    assert "not allowed" in post(sandbox, "setup_intents", **setup)["error"]["message"]  # type: ignore[index]


def test_a_hosted_page_offers_only_the_types_of_its_session(shop: Shop) -> None:
    line = {"line_items[0][price]": shop.price, "line_items[0][quantity]": "1"}
    form = {"mode": "payment", "success_url": "https://shop.example/done", "payment_method_types[]": "card"}

    session = post(shop.sandbox, "checkout/sessions", **form, **line)
    paid = shop.sandbox.http().post(
        f"/_sandbox/checkout/sessions/{session['id']}/pay", json={"method": "bank"}
    )

    assert "not allowed" in paid.json()["error"]["message"]
    assert 'hidden><input type="radio" id="method-bank"' in shop.sandbox.http().get(str(session["url"])).text


def test_where_goods_are_sent_is_kept_and_stands_on_the_charge(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "shipping": {"name": "Jenny Rosen", "address": ADDRESS},  # type: ignore[typeddict-item]
        }
    )

    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert str(intent.shipping) == str(charge.shipping)
    assert (charge.shipping.name, charge.shipping.address.city) == ("Jenny Rosen", "London")  # type: ignore[union-attr]


def test_an_inquiry_that_is_closed_ends_as_a_warning_and_keeps_the_money(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_createDisputeInquiry",
        }
    )
    [inquiry] = client.v1.disputes.list({"payment_intent": intent.id}).data

    closed = client.v1.disputes.close(inquiry.id)

    assert (closed.status, closed.balance_transactions) == ("warning_closed", [])


def test_what_is_due_has_happened_before_the_next_request_is_answered(sandbox: Running) -> None:
    form = "amount=500&currency=usd&confirm=true&payment_method=pm_card_createDispute"
    head = f"Host: sandbox\r\nAuthorization: Bearer {KEY}\r\n"
    typed = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
    address = httpx.URL(sandbox.base_url)

    # Both in one packet: there is no time in between.
    with socket.create_connection((address.host, address.port or 80), timeout=30) as line:
        line.sendall(
            f"POST /v1/payment_intents HTTP/1.1\r\n{head}{typed}\r\n{form}"
            f"GET /v1/disputes?limit=1 HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode()
        )
        answers = b"".join(iter(lambda: line.recv(65536), b"")).decode()

    bodies = [answer.partition("\r\n\r\n")[2] for answer in answers.split("HTTP/1.1 200 OK")[1:]]
    paid, disputed = map(json.loads, bodies)
    assert [one["payment_intent"] for one in disputed["data"]] == [paid["id"]]


def test_a_note_on_a_refund_is_told_under_both_names(client: stripe.StripeClient, shop: Shop) -> None:
    intent = client.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    )
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    before = shop.last_event()

    client.v1.refunds.update(refund.id, {"metadata": {"order": "7"}})

    told = [event.type for event in shop.events_since(before)]
    assert told == ["refund.updated", "charge.refund.updated"]
