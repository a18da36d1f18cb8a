"""Who calls the service in the tests of the API: nobody, two customers, apps with each permission, an admin.

What they may do is the tests' business; here they are only introduced.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import running_service
from api.cards import a_payment_intent, a_saved_card
from api.rows import a_payment
from databases import OWNER, SECRET, SERVICE, TestDatabase
from running_service import ADMIN_EMAIL, ADMIN_PASSWORD, EMAIL, PASSWORD, Running
from sandbox.process import KEY
from sandbox.process import Running as Sandbox

from tallybook.domain.identity.callers import SEED_PERMISSIONS, Permission

OTHER_EMAIL = "other@example.com"
OTHER_PASSWORD = "another customer of the tests"
SPARE_EMAIL = "spare@example.com"
SPARE_PASSWORD = "a spare customer of the tests"
MICRO = 1_000_000
START_CREDITS = 1_000_000
SETTINGS = {
    "SESSION_TOKEN_SECONDS": "3600",
    "LOG_LEVEL": "debug",
    "STRIPE_DEBUG": "true",
    "ALLOWED_ORIGINS": "https://shop.example.com",
}
# Not data of anybody: who used a key when, what Stripe's events come in with on their own, what the worker watches.
_UNCOUNTED = (
    "stripe_events", "customer_fences", "alert_states", "alert_walk", "alert_watches", "announcements",
    "webhook_sightings", "reconciliations", "reconciliation_findings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """A customer, and what is theirs."""

    user_id: int
    wallet: str
    transfer: str
    hold: str
    checkout: str
    stripe_session: str
    subscription: str
    organisation: str
    organisation_wallet: str
    alert: str
    budget: str
    payment: str
    payment_intent: str
    payment_method: str


@dataclass(slots=True)
class Cast:
    """A running service, and by name the headers of everyone who calls it."""

    running: Running
    callers: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    apps: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    logins: dict[str, tuple[str, str, str | None]] = field(default_factory=dict)
    spare_user_id: int = 0
    spare_key_id: str = ""

    @property
    def base_url(self) -> str:
        """Where the service listens."""
        return self.running.base_url

    def ask(self, caller: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One request of a caller, with a fresh idempotency key unless one is given."""
        merged = {"Idempotency-Key": uuid.uuid4().hex, **self.callers[caller]}
        merged |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client().request(method, path, json=body, headers=merged)

    def send(self, method: str, path: str, content: Any, headers: Mapping[str, str]) -> httpx.Response:
        """One request exactly as given."""
        return self._client().request(method, path, content=content, headers=dict(headers))

    def _client(self) -> httpx.Client:
        if not self.running._clients:
            self.running.http()
        return self.running._clients[0]

    def state(self) -> dict[str, Any]:
        """The rows of every table, and the wallets: equal before and after what must change nothing."""
        with psycopg.connect(self.running.database.superuser_url) as connection:
            names = [
                row[0]
                for row in connection.execute(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'tallybook' ORDER BY 1"
                )
                if row[0] not in _UNCOUNTED
            ]
            counts = " UNION ALL ".join(f"SELECT '{n}', count(*) FROM tallybook.{n}" for n in names)
            found: dict[str, Any] = dict(connection.execute(counts).fetchall())
            found["wallets"] = connection.execute(
                "SELECT wallet_id, available_micro, held_micro, debt_micro, version"
                " FROM tallybook.wallets ORDER BY 1"
            ).fetchall()
        return found

    def sign_in(self, email: str, password: str, app: str | None = None) -> dict[str, Any]:
        """A session for an app, or of the house; its tokens count as secrets."""
        body = {"email": email, "password": password} | ({"app_id": self.apps[app]} if app else {})
        answer = self.ask("nobody", "POST", "/v1/sessions", body)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        for name in ("session_token", "refresh_token"):
            self.secrets[f"{name} {len(self.secrets)}"] = found[name]
        return found

    def place_hold(self, caller: str, micro: int = MICRO) -> str:
        """A fresh hold on the caller's own wallet."""
        answer = self.ask(caller, "POST", "/v1/holds", {"amount_micro": micro, "lifetime_seconds": 86_400})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def set_alert(self, caller: str) -> str:
        """A fresh alert on the caller's own wallet."""
        answer = self.ask(caller, "POST", "/v1/alerts", {"kind": "low_balance", "amount_micro": 7})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def make_event(self, status: str = "dead", kind: str = "product.updated") -> str:
        """A stored event that no worker takes, about a customer and with a secret in its payload."""
        event_id = f"evt_{uuid.uuid4().hex}"
        subject = {"id": f"cus_{event_id}", "object": "customer", "client_secret": "of the tests"}
        raw = json.dumps({"id": event_id, "object": "event", "type": kind, "data": {"object": subject}})
        with psycopg.connect(self.running.database.superuser_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO tallybook.stripe_events (event_id, type, livemode, object_id, stripe_created,"
                " intake_path, raw, received_at, status, next_attempt_at)"
                " VALUES (%s, %s, false, %s, now(), 'v1', %s, now(), %s, now())",
                [event_id, kind, subject["id"], raw.encode(), status],
            )
        return event_id

    def make_budget(self, caller: str) -> str:
        """A fresh budget without a limit over the caller's own wallet."""
        answer = self.ask(caller, "POST", "/v1/budgets", {"name": "everything"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def assert_log_holds_no_secret(self) -> None:
        """Passwords, tokens, keys: none of them stands in the service's log."""
        log = self._log_so_far()
        leaked = [name for name, secret in self.secrets.items() if secret in log]
        assert log.count("\n") > 10, "nothing was logged, so this shows nothing"
        assert leaked == [], f"in the log: {leaked}"

    def _log_so_far(self) -> str:
        """The log up to now: a line is written after its answer went out, so wait for one of our own."""
        marker = f"marker-{uuid.uuid4().hex}"
        self.ask("nobody", "GET", "/health/live", Request_Id=marker)
        deadline = time.monotonic() + 10
        while marker not in (log := self.running.service.log.read_text(errors="replace")):
            assert time.monotonic() < deadline, "the log does not show a request"
            time.sleep(0.02)
        return log


@contextmanager
def assembled(database: TestDatabase, sandbox: Sandbox, place: Path, **settings: str) -> Iterator[Cast]:
    """Start a service with these settings, and introduce everyone."""
    with running_service.running_service(database, sandbox, place) as running:
        running.service.stop()
        running.service.env.update(SETTINGS | settings)
        running.service.start()
        cast = Cast(running, callers={"nobody": {}})
        cast.secrets |= {
            "password": PASSWORD,
            "admin's password": ADMIN_PASSWORD,
            "other's password": OTHER_PASSWORD,
            "spare's password": SPARE_PASSWORD,
            "secret key": SECRET,
            "database password of the service": SERVICE.password,
            "database password of the owner": OWNER.password,
            "Stripe key": KEY,
            **_webhook_secret(running),
            "API key": running.api_key,
        }
        _introduce(cast)
        yield cast


def _introduce(cast: Cast) -> None:
    running = cast.running
    _session(cast, "admin", ADMIN_EMAIL, ADMIN_PASSWORD)
    _app(cast, "full app", tuple(Permission), running.app_id, running.api_key)
    _app(cast, "seed app", SEED_PERMISSIONS)
    _app(cast, "bare app", ())
    for permission in Permission:
        _app(cast, f"{permission} app", (permission,))
    other = _sign_up(cast, OTHER_EMAIL, OTHER_PASSWORD)
    cast.spare_user_id = _sign_up(cast, SPARE_EMAIL, SPARE_PASSWORD)
    _session(cast, "ada", EMAIL, PASSWORD)
    _session(cast, "bob", OTHER_EMAIL, OTHER_PASSWORD)
    _session(cast, "ada in app", EMAIL, PASSWORD, "seed app")
    _session(cast, "ada in bare app", EMAIL, PASSWORD, "bare app")
    _session(cast, "bob in app", OTHER_EMAIL, OTHER_PASSWORD, "seed app")
    _session(cast, "admin in app", ADMIN_EMAIL, ADMIN_PASSWORD, "full app")
    cast.people = {
        "ada": _belongings(cast, "ada", running.user_id),
        "bob": _belongings(cast, "bob", other),
    }
    handed = cast.ask("ada", "POST", f"/v1/holds/{cast.people['ada'].hold}/tokens", {})
    assert handed.status_code == 201, handed.text
    cast.secrets["hold token"] = handed.json()["token"]
    cast.callers["carrier"] = {"Authorization": f"Bearer {handed.json()['token']}"}
    made = cast.ask("admin", "POST", f"/v1/apps/{cast.apps['bare app']}/api-keys", {"label": "spare"})
    cast.secrets["spare API key"] = made.json()["api_key"]
    cast.spare_key_id = made.json()["id"]


def _sign_up(cast: Cast, email: str, password: str) -> int:
    answer = cast.ask("nobody", "POST", "/v1/users", {"email": email, "password": password})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["user_id"])


def _session(cast: Cast, name: str, email: str, password: str, app: str | None = None) -> None:
    token = cast.sign_in(email, password, app)["session_token"]
    cast.logins[name] = (email, password, app)
    cast.tokens[name] = token
    cast.callers[name] = {"Authorization": f"Bearer {token}"}


def _app(
    cast: Cast, name: str, permissions: tuple[Permission, ...], app_id: str = "", api_key: str = ""
) -> None:
    if not app_id:
        body = {"name": name, "permissions": [str(one) for one in permissions]}
        answer = cast.ask("admin", "POST", "/v1/apps", body)
        assert answer.status_code == 201, answer.text
        app_id, api_key = answer.json()["app_id"], answer.json()["api_key"]
    cast.apps[name] = app_id
    cast.callers[name] = {"X-API-Key": api_key}
    cast.secrets[f"API key of the {name}"] = api_key


def _belongings(cast: Cast, name: str, user_id: int) -> Person:
    start = {"user_id": user_id, "type": "grant", "amount_micro": START_CREDITS * MICRO}
    granted = cast.ask("admin", "POST", "/v1/transfers", start)
    assert granted.status_code == 201, granted.text
    order = {
        "price": "package_starter",
        "success_url": "https://yourapp.com/success",
        "cancel_url": "https://yourapp.com/cancel",
    }
    opened = cast.ask(name, "POST", "/v1/checkouts", order)
    assert opened.status_code == 201, opened.text
    begun = cast.ask(name, "POST", "/v1/subscriptions", {"price": "plan_starter"})
    assert begun.status_code == 201, begun.text
    subscription = begun.json()["id"]
    # Ended, so that whoever may change it is told so, each time alike.
    ended = cast.ask(name, "POST", f"/v1/subscriptions/{subscription}/cancel", {"at": "now"})
    assert ended.status_code == 200, ended.text
    founding = {"name": f"{name} and friends", "owner_user_id": user_id}
    founded = cast.ask("admin", "POST", "/v1/organisations", founding)
    assert founded.status_code == 201, founded.text
    return Person(
        user_id=user_id,
        wallet=granted.json()["wallet"],
        transfer=granted.json()["id"],
        hold=cast.place_hold(name),
        checkout=opened.json()["id"],
        stripe_session=opened.json()["stripe_session_id"],
        subscription=subscription,
        organisation=founded.json()["id"],
        organisation_wallet=founded.json()["wallet"],
        alert=cast.set_alert(name),
        budget=cast.make_budget(name),
        payment=a_payment(cast.running.database, user_id, granted.json()["wallet"]),
        payment_intent=a_payment_intent(cast, name),
        payment_method=a_saved_card(cast, name),
    )


def _webhook_secret(running: Running) -> dict[str, str]:
    secret = running.service.env["STRIPE_WEBHOOK_SECRET"].strip(" ,")
    return {"webhook secret": secret} if secret else {}
