"""Commands about webhooks: look at deliveries, send again, hold back, register an endpoint.

Leaves faults to ``fault_desk``.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stripe_sandbox.api import webhook_endpoints
from stripe_sandbox.control.kit import answered, post, work
from stripe_sandbox.delivery import Courier
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import API_VERSION, Json
from stripe_sandbox.sandbox import Sandbox

_MOST_COPIES = 200


def routes() -> list[Route]:
    """Return the routes of these commands."""
    return [
        Route("/_sandbox/health", health, methods=["GET"]),
        Route("/_sandbox/deliveries", answered(deliveries), methods=["GET"]),
        post("events/{id}/resend", resend),
        post("delivery/pause", pause),
        post("delivery/resume", resume),
        post("webhook_endpoints", add_endpoint),
    ]


async def health(request: Request) -> JSONResponse:
    """Say that the sandbox is up and which version it renders."""
    sandbox: Sandbox = request.app.state.sandbox
    courier: Courier = request.app.state.courier
    rows = sandbox.store.db.execute("SELECT status, count(*) FROM deliveries GROUP BY status")
    return JSONResponse(
        {
            "status": "ok",
            "api_version": API_VERSION,
            "delivery_paused": courier.paused,
            "deliveries": {row[0]: row[1] for row in rows},
        }
    )


async def deliveries(request: Request, _given: Json) -> Json:
    """List deliveries, newest first; filters: event, endpoint, status."""
    sandbox: Sandbox = request.app.state.sandbox
    sql = ["SELECT * FROM deliveries WHERE 1 = 1"]
    values = []
    for name in ("event", "endpoint", "status"):
        if name in request.query_params:
            sql.append(f"AND {name} = ?")
            values.append(request.query_params[name])
    sql.append("ORDER BY id DESC LIMIT 1000")
    rows = sandbox.store.db.execute(" ".join(sql), values)
    return {"object": "list", "data": [dict(row) for row in rows]}


async def resend(request: Request, given: Json) -> Json:
    """Send an event again, ``times`` times at once, to one ``endpoint`` or to all."""
    sandbox: Sandbox = request.app.state.sandbox
    courier: Courier = request.app.state.courier
    call = sandbox.call()
    event = call.need("event", request.path_params["id"])
    times = int(given.get("times", 1))
    if not 1 <= times <= _MOST_COPIES:
        message = f"times must be between 1 and {_MOST_COPIES}."
        raise ApiError(message, param="times")
    if "endpoint" in given:
        endpoints = [call.need("webhook_endpoint", given["endpoint"], param="endpoint")]
    else:
        endpoints = sandbox.store.find("webhook_endpoint", oldest_first=True)
    answers = await asyncio.gather(
        *(courier.send_again(event["id"], endpoint, times=times) for endpoint in endpoints)
    )
    sent = zip(endpoints, answers, strict=True)
    return {"sent": {endpoint["id"]: statuses for endpoint, statuses in sent}}


async def pause(request: Request, _given: Json) -> Json:
    """Hold all deliveries back."""
    request.app.state.courier.pause(on=True)
    return {"delivery_paused": True}


async def resume(request: Request, _given: Json) -> Json:
    """Let deliveries go again."""
    request.app.state.courier.pause(on=False)
    return {"delivery_paused": False}


async def add_endpoint(request: Request, given: Json) -> Json:
    """Register an endpoint with a signing secret of the caller's choice."""
    if not given.get("url") or not given.get("secret"):
        message = "url and secret are required."
        raise ApiError(message, code="parameter_missing")
    params = {"enabled_events": ["*"]} | given
    secret = str(params.pop("secret"))
    with work(request, params) as call:
        return webhook_endpoints.create_with(call, secret)
