"""Pages that show what the sandbox holds: an index, lists by type, objects with their events, events with deliveries.

Private notes (signing secrets, card numbers) are never shown. Leaves all buttons to ``acting``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stripe_sandbox import clocks, faults
from stripe_sandbox.delivery import Courier
from stripe_sandbox.hosted import views
from stripe_sandbox.kinds import API_VERSION, Json
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.store import Store

_PAGE = 50
_NEWEST = 12
_ID = re.compile(r"^[a-z]{2,8}_[A-Za-z0-9_]{8,80}$")
_NAMES = ("type", "status", "billing_reason", "email", "name", "description", "url", "code", "reason")
_DELIVERIES = """
SELECT d.*, json_extract(e.body, '$.type') AS type, json_extract(w.body, '$.url') AS url
FROM deliveries d
JOIN objects e ON e.id = d.event
JOIN objects w ON w.id = d.endpoint
"""


def routes() -> list[Route]:
    """Return the routes of these pages."""
    return [
        Route("/_sandbox/", index, methods=["GET"]),
        Route("/_sandbox/list/{kind}", listed, methods=["GET"]),
        Route("/_sandbox/object/{id}", shown, methods=["GET"]),
        Route("/_sandbox/sent", sent, methods=["GET"]),
        Route("/_sandbox/fault-desk", fault_desk, methods=["GET"]),
    ]


async def index(request: Request) -> Response:
    """Show what there is: types with their numbers, the newest events, deliveries, clocks."""
    sandbox: Sandbox = request.app.state.sandbox
    courier: Courier = request.app.state.courier
    store = sandbox.store
    kinds = store.db.execute(
        "SELECT kind, count(*) AS many FROM objects WHERE deleted = 0 GROUP BY kind ORDER BY kind"
    )
    statuses = store.db.execute(
        "SELECT status, count(*) AS many FROM deliveries GROUP BY status ORDER BY status"
    )
    return views.page(
        "desk_index.html",
        version=API_VERSION,
        kinds=kinds.fetchall(),
        statuses=statuses.fetchall(),
        paused=courier.paused,
        faults=_switched_on(sandbox),
        newest=[_row(event) for event in store.find("event", limit=_NEWEST)],
        endpoints=store.find("webhook_endpoint", oldest_first=True),
        clocks=store.find(clocks.KIND),
    )


async def listed(request: Request) -> Response:
    """List objects of a type, newest first; deleted ones are gone."""
    sandbox: Sandbox = request.app.state.sandbox
    kind = request.path_params["kind"]
    before = request.query_params.get("before", "")
    rows = sandbox.store.db.execute(
        "SELECT seq, body FROM objects WHERE kind = ? AND deleted = 0 AND seq < ? ORDER BY seq DESC LIMIT ?",
        (kind, int(before) if before.isdecimal() and before.isascii() else 2**62, _PAGE + 1),
    ).fetchall()
    found = [_row(json.loads(row["body"])) for row in rows[:_PAGE]]
    older = rows[_PAGE - 1]["seq"] if len(rows) > _PAGE else None
    return views.page("desk_list.html", kind=kind, rows=found, older=older)


async def shown(request: Request) -> Response:
    """Show an object with its events, or an event with its deliveries."""
    sandbox: Sandbox = request.app.state.sandbox
    store = sandbox.store
    body = store.get(request.path_params["id"])
    if body is None:
        return views.page("desk_missing.html", 404, wanted=request.path_params["id"])
    event = body["object"] == "event"
    return views.page(
        "desk_object.html",
        body=body,
        row=_row(body),
        parts=_parts(store, body),
        events=[] if event else [_row(one) for one in _events_of(store, body["id"])],
        deliveries=_deliveries(store, body["id"]) if event else [],
        attempts=_attempts(store, body["id"]) if event else [],
        endpoints=store.find("webhook_endpoint", oldest_first=True) if event else [],
        is_clock=body["object"] == clocks.KIND,
        error=request.query_params.get("error"),
        said=request.query_params.get("said"),
    )


async def sent(request: Request) -> Response:
    """List deliveries, newest first, all or of one status."""
    sandbox: Sandbox = request.app.state.sandbox
    status = request.query_params.get("status", "")
    rows = sandbox.store.db.execute(
        f"{_DELIVERIES} WHERE ? IN ('', d.status) ORDER BY d.id DESC LIMIT 200", (status,)
    ).fetchall()
    return views.page("desk_sent.html", chosen=status, rows=rows)


async def fault_desk(request: Request) -> Response:
    """Show which faults are on, and the forms to change them."""
    sandbox: Sandbox = request.app.state.sandbox
    return views.page(
        "desk_faults.html",
        faults=sandbox.faults,
        kinds=faults.KINDS,
        endpoints=sandbox.store.find("webhook_endpoint", oldest_first=True),
        error=request.query_params.get("error"),
    )


def _switched_on(sandbox: Sandbox) -> int:
    deliveries = sandbox.faults.deliveries
    chances = (deliveries.duplicate, deliveries.drop, deliveries.delay_ms, deliveries.shuffle_ms)
    return len(sandbox.faults.api) + sum(value > 0 for value in chances)


def _row(body: Json) -> Json:
    """Return what a list says of an object: id, time, and a few words."""
    words = [str(body[name]) for name in _NAMES if isinstance(body.get(name), str) and body[name]]
    amount = next(
        (body[name] for name in ("amount", "total", "amount_total", "unit_amount") if name in body), None
    )
    about = body["data"]["object"] if body["object"] == "event" else {}
    return {
        "id": body["id"],
        "kind": body["object"],
        "created": body.get("created"),
        "words": words,
        "amount": amount if isinstance(amount, int) and body.get("currency") else None,
        "currency": body.get("currency"),
        "about": about.get("id"),
    }


def _events_of(store: Store, object_id: str) -> list[Json]:
    rows = store.db.execute(
        "SELECT body FROM objects WHERE kind = 'event' AND json_extract(body, '$.data.object.id') = ?"
        " ORDER BY seq DESC LIMIT 200",
        (object_id,),
    )
    return [json.loads(row["body"]) for row in rows]


def _deliveries(store: Store, event_id: str) -> list[Mapping[str, Any]]:
    return store.db.execute(f"{_DELIVERIES} WHERE d.event = ? ORDER BY d.id", (event_id,)).fetchall()


def _attempts(store: Store, event_id: str) -> list[Mapping[str, Any]]:
    return store.db.execute(
        "SELECT a.*, json_extract(w.body, '$.url') AS url FROM attempts a JOIN objects w ON w.id = a.endpoint"
        " WHERE a.event = ? ORDER BY a.id DESC LIMIT 200",
        (event_id,),
    ).fetchall()


def _parts(store: Store, body: Json) -> list[tuple[str, bool]]:
    """Return an object as text, in parts; true marks the id of a known object, which leads to its page."""
    named = {text for text in _texts(body) if _ID.match(text) and text != body["id"]}
    known = {text for text in named if store.get(text) is not None}
    parts = re.split(r"([a-z]{2,8}_[A-Za-z0-9_]{8,80})", json.dumps(body, indent=2, ensure_ascii=False))
    return [(part, part in known) for part in parts]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
