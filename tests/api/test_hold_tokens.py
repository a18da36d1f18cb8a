"""What a hold token looks like over HTTP: what its carrier is answered, and what the answers keep to themselves."""

from __future__ import annotations

from typing import Any

import pytest
from api.cast import MICRO, Cast


@pytest.fixture
def handed_on(cast: Cast) -> dict[str, Any]:
    """A fresh hold of Ada's and its token; the caller "sub-agent" carries it."""
    hold = cast.place_hold("ada", 20 * MICRO)
    answer = cast.ask("ada", "POST", f"/v1/holds/{hold}/tokens", {})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    cast.secrets["token of a sub-agent"] = found["token"]
    cast.callers["sub-agent"] = {"Authorization": f"Bearer {found['token']}"}
    return found


def test_a_carrier_holds_captures_and_releases_and_is_told_no_balance(
    cast: Cast, handed_on: dict[str, Any]
) -> None:
    placed = cast.ask("sub-agent", "POST", "/v1/holds", {"amount_micro": 5 * MICRO})
    path = f"/v1/holds/{placed.json()['id']}"
    captured = cast.ask("sub-agent", "POST", f"{path}/capture", {"amount_micro": MICRO, "final": False})
    extended = cast.ask("sub-agent", "POST", f"{path}/extend", {"lifetime_seconds": 3600})
    released = cast.ask("sub-agent", "POST", f"{path}/release", {})
    seen = cast.ask("sub-agent", "GET", f"/v1/holds/{handed_on['hold']}")

    assert [one.status_code for one in (placed, captured, extended, released, seen)] == [
        201,
        200,
        200,
        200,
        200,
    ]
    for answer in (placed, captured, released):
        assert answer.json()["wallet_after"] is None
    assert (captured.json()["captured_micro"], released.json()["released_micro"]) == (MICRO, 4 * MICRO)
    assert extended.json()["parent"] == handed_on["hold"]
    assert (seen.json()["delegated_micro"], seen.json()["remaining_micro"]) == (MICRO, 19 * MICRO)
    assert "available" not in placed.text + captured.text + extended.text + released.text + seen.text


def test_a_token_lasts_as_long_as_its_hold_unless_less_was_asked_for(
    cast: Cast, handed_on: dict[str, Any]
) -> None:
    hold = cast.ask("ada", "GET", f"/v1/holds/{handed_on['hold']}").json()
    short = cast.ask("ada", "POST", f"/v1/holds/{hold['id']}/tokens", {"lifetime_seconds": 60})
    wrong = cast.ask("ada", "POST", f"/v1/holds/{hold['id']}/tokens", {"lifetime_seconds": 0})

    assert handed_on["expires_at"][:19] == hold["expires_at"][:19]
    assert short.json()["expires_at"] < handed_on["expires_at"]
    assert wrong.status_code == 422


def test_the_same_key_gives_the_same_token(cast: Cast, handed_on: dict[str, Any]) -> None:
    path = f"/v1/holds/{handed_on['hold']}/tokens"
    one, again, other = (
        cast.ask("ada", "POST", path, {}, Idempotency_Key=key).json() for key in ("a", "a", "b")
    )
    by_admin = cast.ask("admin", "POST", path, {}, Idempotency_Key="a").json()

    assert one == again
    assert len({one["token"], other["token"], by_admin["token"]}) == 3


def test_more_than_the_hold_has_is_refused_without_offers_or_a_link(
    cast: Cast, handed_on: dict[str, Any]
) -> None:
    answer = cast.ask("sub-agent", "POST", "/v1/holds", {"amount_micro": 21 * MICRO})

    assert (answer.status_code, answer.json()["code"]) == (409, "capture_exceeds_hold")
    assert answer.json().keys() == {
        "type", "title", "status", "detail", "code", "requested_micro", "remaining_micro",
    }  # fmt: skip


def test_a_token_of_a_settled_hold_is_401(cast: Cast, handed_on: dict[str, Any]) -> None:
    cast.ask("ada", "POST", f"/v1/holds/{handed_on['hold']}/release", {})

    answer = cast.ask("sub-agent", "GET", f"/v1/holds/{handed_on['hold']}")

    assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")


def test_a_token_does_not_stand_in_the_log(cast: Cast, handed_on: dict[str, Any]) -> None:
    token = handed_on["token"]
    cast.ask("sub-agent", "GET", f"/v1/holds/{token}")
    cast.ask("nobody", "GET", f"/v1/holds/{token}", Request_Id=token[:100])

    cast.assert_log_holds_no_secret()
