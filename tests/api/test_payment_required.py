"""A 402 over HTTP: the same help on native and seed routes, and links that nobody can forge or read out of a log."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from api.cast import MICRO, Cast

LARGEST = 10**15
BARE = {"requested_micro", "available_micro", "held_micro", "debt_micro", "shortfall_micro"}
HELP = {"offers", "pay_url", "resume_token"}


@pytest.fixture(scope="module")
def poor(cast: Cast) -> dict[str, Any]:
    """A customer without credits, signed in to the app with the seed permissions."""
    email, password = f"{uuid.uuid4().hex}@example.com", "a password of the tests"
    made = cast.ask("nobody", "POST", "/v1/users", {"email": email, "password": password})
    token = cast.sign_in(email, password, "seed app")["session_token"]
    cast.callers["poor in app"] = {"Authorization": f"Bearer {token}"}
    return {"user_id": made.json()["user_id"], "token": token}


def asked(
    cast: Cast, poor: dict[str, Any], route: str, *, credits: int = 5, **headers: str
) -> httpx.Response:
    """Five credits on one of the routes that need them."""
    user_id, micro = poor["user_id"], credits * MICRO
    requests: dict[str, tuple[str, str, dict[str, Any]]] = {
        "spend": ("full app", "/v1/transfers", {"user_id": user_id, "amount_micro": micro}),
        "hold": ("full app", "/v1/holds", {"user_id": user_id, "amount_micro": micro}),
        "session": ("poor in app", "/v1/transfers", {"amount_micro": micro}),
        "financial": ("full app", f"/api/financial/credits/{user_id}/spend", {"credits": credits}),
        "cross-app": (
            "seed app",
            "/api/cross-app/credits/consume",
            {"session_token": poor["token"], "app_id": cast.apps["seed app"], "credits": credits},
        ),
    }
    caller, path, body = requests[route]
    return cast.ask(caller, "POST", path, body, **headers)


NATIVE = ("spend", "hold", "session")
ROUTES = (*NATIVE, "financial", "cross-app")


@pytest.mark.parametrize("route", ROUTES)
def test_a_402_helps_on_every_route_and_says_all_that_it_said_before(
    cast: Cast, poor: dict[str, Any], route: str
) -> None:
    answer = asked(cast, poor, route)

    body = answer.json()
    assert answer.status_code == 402
    assert (body["code"], body["detail"]) == ("insufficient_credits", "Insufficient credits")
    assert {name: body[name] for name in BARE} == {
        "requested_micro": 5 * MICRO,
        "available_micro": 0,
        "held_micro": 0,
        "debt_micro": 0,
        "shortfall_micro": 5 * MICRO,
    }
    drawn = {"code", "detail"} | ({"type", "title", "status"} if route in NATIVE else set())
    assert body.keys() - drawn - BARE == HELP
    assert body["offers"][0] == {
        "lookup_key": "package_starter",
        "name": "Starter",
        "quantity": 1,
        "credits_micro": 1000 * MICRO,
        "amount_minor": 1000,
        "currency": "usd",
    }
    assert body["pay_url"].startswith(f"{cast.base_url}/pay/tbp_")


@pytest.mark.parametrize("route", ["spend", "hold", "financial", "cross-app"])
def test_a_resume_token_lets_the_work_be_done_once(cast: Cast, poor: dict[str, Any], route: str) -> None:
    key = uuid.uuid4().hex
    token = asked(cast, poor, route, Idempotency_Key=key).json()["resume_token"]
    grant = {"user_id": poor["user_id"], "type": "grant", "amount_micro": 5 * MICRO}
    assert cast.ask("admin", "POST", "/v1/transfers", grant).status_code == 201

    without = asked(cast, poor, route, Idempotency_Key=key)
    answers = [asked(cast, poor, route, Idempotency_Key=key, Resume_Token=token) for _ in range(2)]
    other_terms = asked(cast, poor, route, credits=4, Idempotency_Key=key, Resume_Token=token)
    other_key = asked(cast, poor, route, Idempotency_Key="another", Resume_Token=token)
    nonsense = asked(cast, poor, route, Idempotency_Key=key, Resume_Token="tbj_1__nonsense")

    assert without.status_code == 402
    assert [answer.status_code for answer in answers] == [answers[0].status_code] * 2
    assert answers[0].is_success, answers[0].text
    assert answers[0].json() == answers[1].json()
    for refused in (other_terms, other_key, nonsense):
        assert (refused.status_code, refused.json()["code"]) == (422, "resume_token_invalid")
    wallet = cast.ask("admin", "GET", f"/v1/wallets?user_id={poor['user_id']}").json()["data"][0]
    assert wallet["available_micro"] == 0
    if wallet["held_micro"]:
        hold = answers[0].json()["id"]
        captured = cast.ask("full app", "POST", f"/v1/holds/{hold}/capture", {"amount_micro": 5 * MICRO})
        assert captured.status_code == 200


def test_a_capture_above_its_hold_is_helped_and_goes_on_too(cast: Cast, poor: dict[str, Any]) -> None:
    grant = {"user_id": poor["user_id"], "type": "grant", "amount_micro": 5 * MICRO}
    cast.ask("admin", "POST", "/v1/transfers", grant)
    hold = asked(cast, poor, "hold").json()["id"]
    path, key = f"/v1/holds/{hold}/capture", uuid.uuid4().hex
    body = {"amount_micro": 8 * MICRO, "allow_excess": True}

    short = cast.ask("full app", "POST", path, body, Idempotency_Key=key).json()
    cast.ask("admin", "POST", "/v1/transfers", grant | {"amount_micro": 3 * MICRO})
    link = cast.ask("nobody", "GET", urlsplit(short["pay_url"]).path)
    token = short["resume_token"]
    done = [
        cast.ask("full app", "POST", path, body, Idempotency_Key=key, Resume_Token=token) for _ in range(2)
    ]

    assert short["shortfall_micro"] == 3 * MICRO
    assert 'id="covered"' in link.text
    assert [answer.status_code for answer in done] == [200, 200], done[0].text
    assert done[0].json() == done[1].json()


def test_an_organisations_wallet_and_an_app_that_may_not_sell_get_no_link(
    cast: Cast, poor: dict[str, Any]
) -> None:
    organisation = cast.ask("ada", "GET", f"/v1/organisations/{cast.people['ada'].organisation}").json()
    pooled = {"wallet": organisation["wallet"], "amount_micro": LARGEST // 10**6}
    own = {"user_id": poor["user_id"], "amount_micro": MICRO}

    answers = [
        cast.ask("full app", "POST", "/v1/transfers", pooled).json(),
        cast.ask("consume_credits app", "POST", "/v1/transfers", own).json(),
    ]

    assert [(body["pay_url"], body["pay_url_reason"]) for body in answers] == [
        (None, "organisation_wallet"),
        (None, "purchase_not_permitted"),
    ]
    assert all(body["offers"] and body["resume_token"] for body in answers)


def _link(cast: Cast, poor: dict[str, Any]) -> str:
    return str(urlsplit(asked(cast, poor, "spend").json()["pay_url"]).path)


def test_the_page_shows_the_shortfall_and_the_offers_and_nothing_of_the_customer(
    cast: Cast, poor: dict[str, Any]
) -> None:
    path = _link(cast, poor)

    page = cast.ask("nobody", "GET", path)

    assert page.status_code == 200
    assert '<p class="balance" id="shortfall">5</p>' in page.text
    assert re.findall(r'id="pay-(\w+)"', page.text) == [
        "package_starter",
        "pack_100",
        "pack_250",
        "pack_500",
        "package_basic",
    ]
    assert "@" not in page.text
    assert "set-cookie" not in page.headers
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Robots-Tag"] == "noindex"


def test_forged_and_changed_links_are_a_clear_page_with_a_code(cast: Cast, poor: dict[str, Any]) -> None:
    path = _link(cast, poor)
    changed = path[:-2] + ("A" if path[-2] != "A" else "B") + path[-1]

    for bad in ("/pay/x", "/pay/tbp_", "/pay/tbp_AAAA", "/pay/%00", changed, path + "A", path[:-1]):
        answers = [
            cast.send("GET", bad, None, {}),
            cast.send("POST", bad, "offer=pack_100", {"Content-Type": "application/x-www-form-urlencoded"}),
            cast.send("GET", f"{bad}/done?session_id=cs_test_1", None, {}),
        ]
        for answer in answers:
            assert answer.status_code == 404, (bad, answer.text)
            code = re.search(r'id="code">(\w+)<', answer.text)
            assert code is not None, bad
            assert code[1] == "pay_link_invalid"


def test_a_form_of_another_site_and_a_get_open_nothing(cast: Cast, poor: dict[str, Any]) -> None:
    path = _link(cast, poor)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    before = cast.state()

    foreign = [
        cast.send("POST", path, "offer=pack_100", form | more)
        for more in (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "null"},
        )
    ]
    looked = [cast.send("GET", f"{path}?offer=pack_100", None, {}) for _ in range(3)]

    assert [answer.json()["code"] for answer in foreign] == ["permission_denied"] * 3
    assert [answer.status_code for answer in looked] == [200] * 3
    assert cast.state() == before


def test_stripe_is_called_when_an_offer_is_chosen_and_not_before(cast: Cast, poor: dict[str, Any]) -> None:
    calls = _calls(cast)
    for route in ROUTES:
        asked(cast, poor, route)
    path = _link(cast, poor)
    cast.send("GET", path, None, {})
    before = _calls(cast)

    chosen = cast.send("POST", path, "offer=pack_250", {"Content-Type": "application/x-www-form-urlencoded"})
    again = cast.send("POST", path, "offer=pack_250", {"Content-Type": "application/x-www-form-urlencoded"})

    assert before == calls
    assert chosen.status_code == again.status_code == 303
    assert chosen.headers["Location"] == again.headers["Location"]
    assert "/c/pay/cs_test_" in chosen.headers["Location"]
    assert sum("/v1/checkout/sessions" in line for line in _calls(cast)[len(before) :]) >= 1


def test_a_link_does_not_stand_in_the_log(cast: Cast, poor: dict[str, Any]) -> None:
    token = _link(cast, poor).rpartition("/")[2]

    cast.send("GET", f"/pay/{token}", None, {})
    cast.send("GET", f"/pay/{token}/done?session_id=cs_test_1", None, {})

    log = cast._log_so_far()
    assert "/pay/[secret]" in log
    assert token not in log


def _calls(cast: Cast) -> list[str]:
    """The lines that STRIPE_DEBUG writes for calls to Stripe."""
    time.sleep(0.05)
    return [line for line in cast._log_so_far().splitlines() if "Request to Stripe" in line]
