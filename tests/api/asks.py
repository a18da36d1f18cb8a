"""The requests to the hot routes that both roads are asked, good and bad; names in braces are filled in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tallybook.api.limits import BODY_BYTES_MAX

NOBODY = 4711
SPEND = "/v1/transfers"
HOLD = "/v1/holds"
CHECK = "/api/cross-app/credits/check"
CONSUME = "/api/cross-app/credits/consume"
SEED_SPEND = "/api/financial/credits/{user}/spend"
BALANCE = "/api/financial/credits/balance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request; ``{user}`` and such in its path, query and body are names of the cast."""

    name: str
    method: str = "POST"
    path: str
    caller: str = "app"
    headers: tuple[tuple[str, str], ...] = ()
    body: Any = None
    text: str | None = None
    query: str = ""
    typed: list[tuple[str, str]] = field(default_factory=lambda: [("content-type", "application/json")])
    length: bool = True
    in_two: bool = False
    thin: bool = True

    def raw(self, names: dict[str, str]) -> bytes:
        text = json.dumps(self.body) if self.text is None else self.text
        if self.body is None and self.text is None:
            return b""
        for name, value in names.items():
            text = text.replace(f'"{{{name}}}"', json.dumps(int(value) if value.isdigit() else value))
        return text.encode()


def key(value: str) -> tuple[tuple[str, str], ...]:
    return (("idempotency-key", value),)


def spend(name: str, body: Any = None, **more: Any) -> Ask:
    given = {"user_id": "{user}", "amount_micro": 1_000_000} if body is None else body
    return Ask(**{"name": name, "path": SPEND, "headers": key(name), "body": given, **more})


def hold(name: str, **more: Any) -> Ask:
    body = {"user_id": "{user}", "amount_micro": 2_000_000}
    return Ask(**{"name": name, "path": HOLD, "headers": key(name), "body": body, **more})


def check(name: str, more: Any = None, **rest: Any) -> Ask:
    body = {"session_token": "{token}", "app_id": "{app_id}", **(more or {})}
    return Ask(**{"name": name, "path": CHECK, "body": body, **rest})


def consume(name: str, more: Any = None, **rest: Any) -> Ask:
    body = {"session_token": "{token}", "app_id": "{app_id}", "credits": 1.5, **(more or {})}
    return Ask(**{"name": name, "path": CONSUME, "headers": key(name), "body": body, **rest})


NOTED = {
    "user_id": "{user}",
    "amount_micro": 1,
    "description": "Druck für Zoë",
    "service": "print",
    "metadata": {"pages": [1, 2.5, None], "by": {"name": "Zoë"}},
}
HANDED: dict[str, Any] = {"thin": False}
ASKS = [
    # Spending.
    spend("plain"),
    spend("plain again", headers=key("plain")),
    spend("other terms", {"user_id": "{user}", "amount_micro": 7}, headers=key("plain")),
    spend("too much", {"user_id": "{user}", "amount_micro": 10**15}),
    spend("too much again", {"user_id": "{user}", "amount_micro": 10**15}, headers=key("too much")),
    spend("noted", NOTED),
    spend("by wallet", {"wallet": "{wallet}", "amount_micro": 1}),
    spend("in two pieces", in_two=True),
    spend("charset", typed=[("content-type", "application/json; charset=utf-8")]),
    spend("a session of one's own", {"amount_micro": 1}, caller="session"),
    spend("another's by session", {"user_id": NOBODY, "amount_micro": 1}, caller="session"),
    spend("the house", caller="admin"),
    spend("the house's grant", {"user_id": "{user}", "amount_micro": 5, "type": "grant"}, caller="admin"),
    spend("a grant without the right", {"user_id": "{user}", "amount_micro": 5, "type": "grant"}),
    spend("no such user", {"user_id": NOBODY, "amount_micro": 1}),
    spend("no such wallet", {"wallet": "wal_4711", "amount_micro": 1}),
    spend("no wallet's id", {"wallet": "x", "amount_micro": 1}),
    spend("a user who is switched off", {"user_id": "{idle}", "amount_micro": 1}),
    spend("nobody in particular", {"amount_micro": 1}),
    spend("without a permission", caller="reader"),
    spend("nobody", caller="nobody"),
    spend("a key that never was", caller="forged"),
    spend("a key that was revoked", caller="revoked"),
    spend("no token", caller="gibberish"),
    spend("another scheme", caller="basic"),
    spend("both places", caller="both"),
    spend("without a key", headers=(), **HANDED),
    spend("without a key, by nobody", headers=(), caller="nobody", **HANDED),
    spend("a key that cannot be printed", headers=key("a\x07b"), **HANDED),
    spend("two keys", headers=key("a") + key("b"), **HANDED),
    spend("two tokens", caller="doubled", **HANDED),
    spend("both a user and a wallet", {"user_id": 1, "wallet": "wal_1", "amount_micro": 1}, **HANDED),
    spend("an unknown field", {"user_id": "{user}", "amount_micro": 1, "x": 1}, **HANDED),
    spend("nothing", {"user_id": "{user}", "amount_micro": 0}, **HANDED),
    spend("a fraction", {"user_id": "{user}", "amount_micro": 1.5}, **HANDED),
    spend("no object", [1], **HANDED),
    spend("no body", {}, **HANDED),
    spend("an empty body", text="", **HANDED),
    spend("no JSON", text="{", **HANDED),
    spend("NaN", text='{"user_id": 1, "amount_micro": NaN}', **HANDED),
    spend("a name twice", text='{"amount_micro": 1, "amount_micro": 2}', **HANDED),
    spend("a lone surrogate", text='{"amount_micro": 1, "description": "\\ud800"}', **HANDED),
    spend("NUL", text='{"amount_micro": 1, "description": "\\u0000"}', **HANDED),
    spend("too deep", text='{"amount_micro": 1, "metadata": {"a": ' + "[" * 40 + "]" * 40 + "}}", **HANDED),
    spend("too large", text=json.dumps("x" * BODY_BYTES_MAX), **HANDED),
    spend("too large, undeclared", text=json.dumps("x" * BODY_BYTES_MAX), length=False, **HANDED),
    spend(
        "more than was said",
        text=json.dumps("x" * BODY_BYTES_MAX),
        length=False,
        typed=[("content-type", "application/json"), ("content-length", "5")],
        **HANDED,
    ),
    spend("length not said", length=False, **HANDED),
    spend("text", typed=[("content-type", "text/plain")], **HANDED),
    spend("no type", typed=[], **HANDED),
    spend("a browser", headers=(*key("browser"), ("origin", "https://shop.example.com")), **HANDED),
    spend("a stranger's browser", headers=(*key("evil"), ("origin", "https://evil.example")), **HANDED),
    spend("a job that goes on", headers=(*key("goes on"), ("resume-token", "x")), **HANDED),
    spend("a query", query="a=1", **HANDED),
    spend("another method", method="DELETE", **HANDED),
    # Holds.
    hold("h1"),
    hold("h1 again", headers=key("h1")),
    hold("h2", body={**NOTED, "lifetime_seconds": 60, "on_expiry": "capture_estimate", "estimate_micro": 1}),
    hold("h too much", body={"user_id": "{user}", "amount_micro": 10**15}),
    hold("h odd policy", body={"user_id": "{user}", "amount_micro": 5, "on_expiry": "x"}, **HANDED),
    Ask(name="capture", path=f"{HOLD}/{{hold}}/capture", headers=key("c1"), body={"amount_micro": 5}),
    Ask(name="capture again", path=f"{HOLD}/{{hold}}/capture", headers=key("c1"), body={"amount_micro": 5}),
    Ask(name="settled", path=f"{HOLD}/{{hold}}/capture", headers=key("c2"), body={"amount_micro": 5}),
    Ask(
        name="capture a stranger's",
        path=f"{HOLD}/hld_9_9/capture",
        headers=key("c3"),
        body={"amount_micro": 5},
    ),
    Ask(name="capture nothing", path=f"{HOLD}/x/capture", headers=key("c4"), body={"amount_micro": 5}),
    Ask(
        name="part",
        path=f"{HOLD}/{{other}}/capture",
        headers=key("c5"),
        body={"amount_micro": 5, "final": False},
    ),
    Ask(name="over", path=f"{HOLD}/{{other}}/capture", headers=key("c6"), body={"amount_micro": 10**9}),
    Ask(name="another app's", path=f"{HOLD}/{{other}}/release", headers=key("r0"), body={}, caller="reader"),
    Ask(name="release", path=f"{HOLD}/{{other}}/release", headers=key("r1"), body={}),
    Ask(name="release again", path=f"{HOLD}/{{other}}/release", headers=key("r1"), body={}),
    Ask(name="released", path=f"{HOLD}/{{other}}/release", headers=key("r2"), body={"description": "late"}),
    Ask(name="release, no body", path=f"{HOLD}/{{other}}/release", headers=key("r3"), thin=False),
    # A hold that was handed on.
    hold("t1", caller="carrier", body={"amount_micro": 5}),
    hold("t1 again", caller="carrier", body={"amount_micro": 5}, headers=key("t1")),
    hold("t2", caller="carrier", body={"amount_micro": 5, "parent": "{handed on}"}),
    hold("t too much", caller="carrier", body={"amount_micro": 10**9}),
    hold("t out of another", caller="carrier", body={"amount_micro": 5, "parent": "{other}"}),
    hold("t of a user", caller="carrier"),
    hold("t forged", caller="no carrier", body={"amount_micro": 5}),
    spend("t spend", caller="carrier"),
    Ask(name="t balance", method="GET", path=BALANCE, caller="carrier"),
    Ask(
        name="t capture",
        path=f"{HOLD}/{{part}}/capture",
        headers=key("t3"),
        body={"amount_micro": 5, "final": False},
        caller="carrier",
    ),
    Ask(name="t release", path=f"{HOLD}/{{part}}/release", headers=key("t4"), body={}, caller="carrier"),
    Ask(
        name="t settle",
        path=f"{HOLD}/{{handed on}}/release",
        headers=key("t5"),
        body={},
        caller="carrier",
    ),
    # Balances.
    Ask(name="wallet", method="GET", path="/v1/wallets", query="user_id={user}"),
    Ask(name="wallet of one's own", method="GET", path="/v1/wallets", caller="session"),
    Ask(name="wallet of nobody", method="GET", path="/v1/wallets", query="user_id=4711"),
    Ask(name="wallet without a user", method="GET", path="/v1/wallets"),
    Ask(name="wallet opened", method="GET", path="/v1/wallets", query="user_id=3"),
    Ask(name="wallet twice", method="GET", path="/v1/wallets", query="user_id=1&user_id=2", thin=False),
    Ask(name="wallet, odd number", method="GET", path="/v1/wallets", query="user_id=+1", thin=False),
    Ask(name="wallet, no number", method="GET", path="/v1/wallets", query="user_id=x", thin=False),
    Ask(name="wallet, zero", method="GET", path="/v1/wallets", query="user_id=0", thin=False),
    Ask(name="wallet, large", method="GET", path="/v1/wallets", query="user_id=9007199254740993", thin=False),
    Ask(name="wallet, more", method="GET", path="/v1/wallets", query="user_id={user}&x=1", thin=False),
    Ask(name="balance", method="GET", path=BALANCE, caller="session"),
    Ask(name="balance of an app", method="GET", path=BALANCE),
    Ask(name="balance of nobody", method="GET", path=BALANCE, caller="nobody"),
    Ask(name="balance, HEAD", method="HEAD", path=BALANCE, caller="session", thin=False),
    # The seed families.
    check("check", {"required_credits": 5}, caller="nobody"),
    check("check nothing", caller="key header"),
    check("check zero", {"required_credits": 0}, caller="nobody"),
    check("check much", {"required_credits": 100_000.25}, caller="nobody"),
    check("check with another's key", caller="reader header"),
    check("check with a forged key", caller="forged header"),
    check("check for another app", {"app_id": "{other_app}"}, caller="nobody"),
    check("check for no app", {"app_id": "app_none"}, caller="nobody"),
    check("check with no token", {"session_token": "x"}, caller="nobody"),
    check("check text", {"required_credits": "5"}, caller="nobody", **HANDED),
    consume("consume", caller="nobody"),
    consume("consume again", caller="nobody", headers=key("consume")),
    consume("consume without a key", caller="nobody", headers=()),
    consume("consume noted", {"description": "d", "service": "s", "metadata": {"a": 1}}, caller="nobody"),
    consume("consume too much", {"credits": 900_000}, caller="nobody"),
    consume("consume text", {"credits": "1"}, caller="nobody", **HANDED),
    Ask(name="seed spend", path=SEED_SPEND, headers=key("s1"), body={"credits": 2}),
    Ask(name="seed spend again", path=SEED_SPEND, headers=key("s1"), body={"credits": 2}),
    Ask(name="seed spend without a key", path=SEED_SPEND, body={"credits": 0.25}),
    Ask(name="seed spend of nobody", path="/api/financial/credits/4711/spend", body={"credits": 2}),
    Ask(name="seed spend too much", path=SEED_SPEND, body={"credits": 10**6}),
    Ask(name="seed spend, no number", path="/api/financial/credits/x/spend", body={"credits": 2}, thin=False),
    Ask(name="seed spend, 007", path="/api/financial/credits/007/spend", body={"credits": 2}, thin=False),
]
