"""Bad input on every route that moves credits or money: a 4xx with a code, and nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from api.cast import Cast

CODES = {"invalid_request", "amount_out_of_range", "request_too_large", "idempotency_key_missing"}
TOO_MUCH = 10 * 1024 * 1024
RETURNS = {"success_url": "https://yourapp.com/ok", "cancel_url": "https://yourapp.com/no"}


@dataclass(frozen=True, slots=True)
class MoneyRoute:
    """A route with a body that works; ``amount`` is the field that says how much, ``native`` that it is under /v1."""

    path: str
    body: dict[str, Any]
    amount: str | None
    caller: str = "ada"
    zero_is_fine: bool = False

    @property
    def native(self) -> bool:
        return self.path.startswith("/v1")


ROUTES = (
    MoneyRoute("/v1/transfers", {"amount_micro": 1000}, "amount_micro"),
    MoneyRoute("/v1/transfers", {"type": "grant", "user_id": 1, "amount_micro": 5}, "amount_micro", "admin"),
    MoneyRoute("/v1/holds", {"amount_micro": 1000}, "amount_micro"),
    MoneyRoute("/v1/holds/{hold}/capture", {"amount_micro": 10}, "amount_micro", zero_is_fine=True),
    MoneyRoute("/v1/holds/{hold}/release", {"description": "x"}, None),
    MoneyRoute("/v1/checkouts", {"price": "package_starter", "quantity": 1, **RETURNS}, "quantity"),
    MoneyRoute("/api/financial/credits/{user}/add", {"credits": 5}, "credits", "admin"),
    MoneyRoute("/api/financial/credits/{user}/spend", {"credits": 5}, "credits"),
    MoneyRoute(
        "/api/cross-app/credits/consume", {"app_id": "", "session_token": "", "credits": 5}, "credits"
    ),
    MoneyRoute(
        "/api/stripe/create-checkout-session",
        {"price_id": "package_starter", "quantity": 1, **RETURNS},
        "quantity",
    ),
    MoneyRoute("/api/credits/purchase", {"package_id": 1}, "package_id"),
)
NAMES = [f"{route.path}-{route.body.get('type', route.caller)}" for route in ROUTES]

# As they stand in the JSON text.
NO_AMOUNTS = (
    '"5"', '""', "-1", "-0.5", "NaN", "Infinity", "-Infinity", "1e999", "1e30", "9" * 25, "9" * 5000,
    "true", "false", "[]", "{}", "[5]", '"\\u0000"', '"NaN"', "0.1234567", "05", "0x5", "5.", "+5",
)  # fmt: skip
NO_INTEGERS = ("5.0", "5.5", "1e3", "null")
NO_TEXTS = (
    '"\\u0000"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\udfff tail"',
    "5",
    "true",
    "[]",
    '{"a": 1}',
    '"' + "x" * 5000 + '"',
)


@pytest.fixture
def unchanged(cast: Cast) -> Iterator[None]:
    """Not a row more and no balance moved, whatever the test sent."""
    before = cast.state()
    yield
    assert cast.state() == before


def _placed(cast: Cast, route: MoneyRoute) -> tuple[str, dict[str, Any], dict[str, str]]:
    ada = cast.people["ada"]
    path = route.path.format(hold=ada.hold, user=ada.user_id)
    body = dict(route.body)
    if "session_token" in body:
        body |= {"session_token": cast.tokens["ada in app"], "app_id": cast.apps["seed app"]}
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": "bad-input-key",
        **cast.callers[route.caller],
    }
    return path, body, headers


def _refused(cast: Cast, route: MoneyRoute, content: Any, status: int = 422, **headers: str) -> None:
    path, _, usual = _placed(cast, route)
    merged = usual | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = cast.send("POST", path, content, merged)
    shown = content[:80] if isinstance(content, bytes) else "…"
    assert answer.status_code == status, (shown, answer.status_code, answer.text[:300])
    assert answer.json()["code"] in CODES, answer.text[:300]
    assert answer.headers["Request-Id"]
    if route.native:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status


def _with(body: dict[str, Any], name: str, text: str) -> bytes:
    rest = json.dumps({key: value for key, value in body.items() if key != name})
    return f'{rest[:-1]}{"," if len(rest) > 2 else ""}"{name}":{text}}}'.encode()


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_what_is_no_amount_is_refused(cast: Cast, unchanged: None, route: MoneyRoute) -> None:
    if route.amount is None:
        assert route.path.endswith("/release"), "only a release says no amount"
        return
    _, body, _ = _placed(cast, route)

    wrong = [*NO_AMOUNTS, *([] if route.zero_is_fine else ["0", "-0"])]
    if route.amount != "credits":
        wrong += NO_INTEGERS

    for text in wrong:
        _refused(cast, route, _with(body, route.amount, text))


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_a_body_that_is_not_one_json_object_is_refused(
    cast: Cast, unchanged: None, route: MoneyRoute
) -> None:
    _, body, _ = _placed(cast, route)
    text = json.dumps(body)
    name = next(iter(body))

    for content in (
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"{",
        text.encode() + b"}",
        text.encode() + text.encode(),
        b"\xff\xfe\x00",
        text.encode("utf-16"),
        text[:-1].encode() + b',"description":"\xc3\x28"}',
        text[:-1].encode() + b',"metadata":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        f'{text[:-1]},"{name}":{json.dumps(body[name])}}}'.encode(),
        f'{text[:-1]},"nobody_knows_me":1}}'.encode(),
        f'{text[:-1]},"is_admin":true}}'.encode(),
    ):
        _refused(cast, route, content)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_a_body_that_does_not_say_json_is_refused(
    cast: Cast, unchanged: None, route: MoneyRoute, kind: str
) -> None:
    _, body, _ = _placed(cast, route)

    _refused(cast, route, json.dumps(body).encode(), Content_Type=kind)


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_text_that_cannot_be_kept_is_refused(cast: Cast, unchanged: None, route: MoneyRoute) -> None:
    _, body, _ = _placed(cast, route)
    texts = ["description"] if route.amount in {None, "amount_micro", "credits"} else []
    texts += [name for name, value in body.items() if isinstance(value, str)]

    for name in texts:
        for text in NO_TEXTS:
            _refused(cast, route, _with(body, name, text))
    if "description" in texts:
        for text in (
            '{"a":"\\u0000"}',
            '{"\\u0000":1}',
            '{"a":["\\ud800"]}',
            '{"a":NaN}',
            '{"a":1e999}',
            "[]",
            '"x"',
        ):
            _refused(cast, route, _with(body, "metadata", text))
        _refused(cast, route, _with(body, "metadata", json.dumps({"a": "x" * 20_000})))


@pytest.mark.parametrize("way", ["declared", "chunked", "declared too small"])
@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_ten_megabytes_are_refused(cast: Cast, unchanged: None, route: MoneyRoute, way: str) -> None:
    _, body, _ = _placed(cast, route)
    content = _with(body, "description", f'"{"x" * TOO_MUCH}"')

    if way == "declared":
        _refused(cast, route, content, 413)
    elif way == "chunked":
        _refused(cast, route, (content[at : at + 65536] for at in range(0, len(content), 65536)), 413)
    else:
        # The server reads as much as was said; what it then has is no JSON.
        _refused(cast, route, content[:100])


@pytest.mark.parametrize("route", [route for route in ROUTES if route.native], ids=NAMES[:6])
def test_a_native_post_needs_its_key(cast: Cast, unchanged: None, route: MoneyRoute) -> None:
    path, body, headers = _placed(cast, route)
    del headers["Idempotency-Key"]

    answer = cast.send("POST", path, json.dumps(body).encode(), headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("key", ["", "k" * 256, "k" * 5000, "tab\there", b"bell\x85".decode("latin-1")])
@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_a_key_that_cannot_be_one_is_refused(
    cast: Cast, unchanged: None, route: MoneyRoute, key: str
) -> None:
    path, body, headers = _placed(cast, route)
    raw = [(name.encode(), value.encode()) for name, value in headers.items() if name != "Idempotency-Key"]

    answer = cast.running.http().request(
        "POST",
        path,
        content=json.dumps(body).encode(),
        headers=[*raw, (b"Idempotency-Key", key.encode("latin-1"))],
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text


@pytest.mark.parametrize(
    "bad", ["0", "-1", "1.5", "abc", "9" * 30, "%00", "1%00", "NaN", "1e3", "true", "9223372036854775808"]
)
def test_an_id_that_cannot_be_one_is_refused(cast: Cast, unchanged: None, bad: str) -> None:
    for path in (
        f"/api/financial/credits/{bad}",
        f"/v1/users/{bad}",
        f"/v1/wallets?user_id={bad}",
        f"/v1/wallets/{bad}",
        f"/v1/wallets/wal_{bad}",
        f"/v1/wallets/wal_1/transfers?limit={bad}",
        f"/v1/wallets/wal_1/transfers?after={bad}",
        f"/v1/transfers/trf_1_{bad}",
        f"/v1/holds/hld_{bad}_1",
        f"/v1/checkouts/chk_{bad}",
        f"/v1/apps/app_{bad}!",
        f"/v1/apps?after={bad}x",
        f"/api/credits/session/cs_{bad}.",
    ):
        answer = cast.ask("admin", "GET", path)
        assert answer.status_code in {404, 422}, (path, answer.status_code, answer.text)
        assert answer.json()["code"] in {"invalid_request", "not_found", "user_not_found"}, (
            path,
            answer.text,
        )


def test_the_routes_do_work_with_what_was_only_slightly_wrong(cast: Cast) -> None:
    """Else every refusal above could be for another reason."""
    for route in ROUTES:
        if "{hold}" in route.path:
            continue
        path, body, headers = _placed(cast, route)
        key = {"Idempotency-Key": f"works {NAMES[ROUTES.index(route)]}"}

        answer = cast.send("POST", path, json.dumps(body).encode(), headers | key)

        assert answer.status_code in {200, 201}, (path, answer.text)
