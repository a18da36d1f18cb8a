"""POST /v1/transfers/batch over HTTP: what is answered for each item, and whose wallets it may name."""

from __future__ import annotations

from api.cast import Cast

POST = "/v1/transfers/batch"


def test_each_item_has_its_own_answer_and_a_retry_gets_them_again(cast: Cast) -> None:
    ada = cast.people["ada"]
    items = [
        {"user_id": ada.user_id, "amount_micro": 3},
        {"wallet": ada.wallet, "amount_micro": 4, "idempotency_key": "own key of a batch item"},
        {"wallet": ada.wallet, "amount_micro": 10**15},
        {"user_id": 10**9, "amount_micro": 1},
    ]

    first = cast.ask("consume_credits app", "POST", POST, {"items": items}, Idempotency_Key="batch-1").json()
    again = cast.ask("consume_credits app", "POST", POST, {"items": items}, Idempotency_Key="batch-1").json()

    assert (first["posted"], first["refused"]) == (2, 2)
    assert [result["status"] for result in first["results"]] == ["posted", "posted", "refused", "refused"]
    codes = [result["problem"]["code"] for result in first["results"][2:]]
    assert codes == ["insufficient_credits", "user_not_found"]
    assert [result["transfer"] for result in again["results"]] == [r["transfer"] for r in first["results"]]
    assert [result["replayed"] for result in again["results"]] == [True, True, False, False]


def test_all_or_nothing_says_which_item_was_refused(cast: Cast) -> None:
    ada = cast.people["ada"]
    before = cast.ask("ada", "GET", f"/v1/wallets/{ada.wallet}").json()
    items = [{"wallet": ada.wallet, "amount_micro": 3}, {"wallet": ada.wallet, "amount_micro": 10**15}]

    answer = cast.ask("consume_credits app", "POST", POST, {"mode": "all", "items": items})

    assert answer.status_code == 409
    found = answer.json()
    assert (found["code"], found["index"]) == ("batch_refused", 1)
    assert found["item_code"] == "insufficient_credits"
    assert cast.ask("ada", "GET", f"/v1/wallets/{ada.wallet}").json() == before


def test_a_customer_names_no_other_wallet_and_adds_nothing(cast: Cast) -> None:
    ada = cast.people["ada"]

    foreign = cast.ask("bob", "POST", POST, {"items": [{"wallet": ada.wallet, "amount_micro": 1}]})
    named = cast.ask("bob", "POST", POST, {"items": [{"user_id": ada.user_id, "amount_micro": 1}]})
    added = cast.ask("bob", "POST", POST, {"items": [{"type": "grant", "amount_micro": 1}]})

    assert foreign.json()["results"][0]["problem"]["code"] == "wallet_not_found"
    assert (named.status_code, added.status_code) == (403, 403)


def test_two_items_with_one_key_are_refused_before_anything_is_done(cast: Cast) -> None:
    item = {"wallet": cast.people["ada"].wallet, "amount_micro": 1, "idempotency_key": "twice"}

    answer = cast.ask("consume_credits app", "POST", POST, {"items": [item, item]})

    assert answer.status_code == 422
    assert "same idempotency_key" in answer.json()["detail"]
