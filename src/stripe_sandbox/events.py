"""Writes events: a snapshot of the object, what changed, and who is to be told.

Leaves sending to ``delivery``. Source of the shape: ``stripe.Event`` of the pinned SDK.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import API_VERSION, Json
from stripe_sandbox.store import Store, Where


@dataclass(frozen=True)
class Happening:
    """What happened, to which object, because of which request."""

    type: str
    body: Json
    previous: Json | None
    now: int
    request_id: str | None
    idempotency_key: str | None


def record(store: Store, happening: Happening) -> Json:
    """Store the event and its deliveries, in the caller's transaction."""
    data: Json = {"object": happening.body}
    if happening.previous is not None:
        data["previous_attributes"] = happening.previous
    listeners = [
        endpoint["id"]
        for endpoint in store.find("webhook_endpoint", oldest_first=True)
        if listens(endpoint, happening.type)
    ]
    event: Json = {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": happening.now,
        "data": data,
        "livemode": False,
        "pending_webhooks": len(listeners),
        "request": {
            "id": happening.request_id,
            "idempotency_key": happening.idempotency_key,
        },
        "type": happening.type,
    }
    store.add(event, created=happening.now)
    for endpoint_id in listeners:
        store.db.execute(
            "INSERT INTO deliveries (event, endpoint, next_at) VALUES (?, ?, ?)",
            (event["id"], endpoint_id, 0.0),
        )
    return event


def listens(endpoint: Json, kind: str) -> bool:
    """Return whether an endpoint wants events of this type."""
    wanted = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in wanted or kind in wanted)


def rendered(store: Store, event: Json) -> Json:
    """Return the event with ``pending_webhooks`` as of now."""
    row = store.db.execute(
        "SELECT count(*) FROM deliveries WHERE event = ? AND status IN ('pending', 'failed')",
        (event["id"],),
    ).fetchone()
    return event | {"pending_webhooks": int(row[0])}


def of_types(types: Sequence[str]) -> Where:
    """Return the condition for a list of types; ``invoice.*`` stands for a whole family."""
    parts = []
    values = []
    for name in types:
        parts.append("json_extract(body, '$.type') GLOB ?")
        values.append("*" if name == "*" else name.replace("[", "[[]").replace("?", "[?]"))
    return Where(" OR ".join(parts), tuple(values))


def with_delivery(*, success: bool) -> Where:
    """Return the condition on whether every delivery of an event has succeeded."""
    undelivered = (
        "EXISTS (SELECT 1 FROM deliveries d WHERE d.event = objects.id AND d.status IN ('pending', 'failed'))"
    )
    return Where(f"NOT {undelivered}" if success else undelivered)


def previous_attributes(before: Json, after: Json) -> Json:
    """Return the old values of what changed; within maps only the changed keys."""
    changed: Json = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and "object" not in old:
            changed[name] = previous_attributes(old, new)
        else:
            changed[name] = old
    return changed
