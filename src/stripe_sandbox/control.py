"""``/_sandbox/*``: what a test or a demo may steer without a browser or a key.

JSON in, JSON out. Leaves faults and the clock to a later part.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stripe_sandbox import buyer, checkout
from stripe_sandbox.api import webhook_endpoints
from stripe_sandbox.billing import invoices
from stripe_sandbox.call import Call
from stripe_sandbox.delivery import Courier
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import API_VERSION, Json
from stripe_sandbox.sandbox import Sandbox

_MOST_COPIES = 200


def routes() -> list[Route]:
    """Return the routes of the control desk."""
    return [
        Route("/_sandbox/health", health, methods=["GET"]),
        Route("/_sandbox/checkout/sessions/{id}/pay", _answered(pay), methods=["POST"]),
        Route("/_sandbox/checkout/sessions/{id}/settle", _answered(settle), methods=["POST"]),
        Route("/_sandbox/payment_intents/{id}/settle", _answered(settle), methods=["POST"]),
        Route("/_sandbox/setup_intents/{id}/authenticate", _answered(authenticate), methods=["POST"]),
        Route("/_sandbox/invoices/{id}/settle", _answered(settle), methods=["POST"]),
        Route("/_sandbox/invoices/{id}/authenticate", _answered(authenticate), methods=["POST"]),
        Route("/_sandbox/payment_intents/{id}/authenticate", _answered(authenticate), methods=["POST"]),
        Route("/_sandbox/deliveries", _answered(deliveries), methods=["GET"]),
        Route("/_sandbox/events/{id}/resend", _answered(resend), methods=["POST"]),
        Route("/_sandbox/delivery/pause", _answered(pause), methods=["POST"]),
        Route("/_sandbox/delivery/resume", _answered(resume), methods=["POST"]),
        Route("/_sandbox/webhook_endpoints", _answered(add_endpoint), methods=["POST"]),
        Route("/_sandbox/settings", _answered(settings), methods=["POST"]),
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


async def pay(request: Request, given: Json) -> Json:
    """Pay a session as a buyer would; ``card`` or ``method: bank``, ``authenticate``."""
    with _work(request) as call:
        session = call.need("checkout.session", request.path_params["id"])
        checkout.need_open(call, session)
        who = buyer.buyer_of(call, session, {"email": "buyer@example.com"} | _typed(given))
        method = buyer.method_of(call, session, who, _typed(given))
        result = checkout.pay(call, session, method, who)
        if result.outcome == "requires_action" and "authenticate" in given:
            assert result.next_url is not None
            intent = call.store.get(result.next_url.rpartition("/")[2])
            assert intent is not None
            passed = given["authenticate"] in (True, "complete")
            ended = checkout.authenticate(call, intent, passed=passed)
            assert ended is not None
            result = ended
    answer: Json = {"outcome": result.outcome, "session": result.session, "url": result.next_url}
    if result.error is not None:
        answer |= result.error.body()
    return answer


async def settle(request: Request, given: Json) -> Json:
    """End a delayed payment: ``outcome`` is ``succeed`` or ``fail``."""
    outcome = given.get("outcome", "succeed")
    if outcome not in ("succeed", "fail"):
        message = "outcome must be succeed or fail."
        raise ApiError(message, param="outcome")
    with _work(request) as call:
        intent = _intent(call, request.path_params["id"])
        return checkout.settle(call, intent, paid=outcome == "succeed")


async def authenticate(request: Request, given: Json) -> Json:
    """End a 3-D Secure step: ``outcome`` is ``complete`` or ``fail``."""
    with _work(request) as call:
        intent = _intent(call, request.path_params["id"])
        if intent["status"] != "requires_action":
            message = f"The payment is {intent['status']} and needs no authentication."
            raise ApiError(message)
        passed = given.get("outcome", "complete") == "complete"
        checkout.authenticate(call, intent, passed=passed)
        return call.need(intent["object"], intent["id"])


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
    with _work(request, params) as call:
        return webhook_endpoints.create_with(call, secret)


async def settings(request: Request, given: Json) -> Json:
    """Set ``latency_ms``: how long each write waits before it is worked on."""
    sandbox: Sandbox = request.app.state.sandbox
    most = 60_000
    latency = int(given.get("latency_ms", 0))
    if not 0 <= latency <= most:
        message = f"latency_ms must be between 0 and {most}."
        raise ApiError(message, param="latency_ms")
    sandbox.latency = latency / 1000
    return {"latency_ms": latency}


def _answered(
    handler: Callable[[Request, Json], Awaitable[Json]],
) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Wrap a handler: JSON body in, JSON or Stripe-shaped error out."""

    async def endpoint(request: Request) -> JSONResponse:
        try:
            body = await request.body()
            return JSONResponse(await handler(request, _object(body)))
        except ApiError as refusal:
            return JSONResponse(refusal.body(), status_code=refusal.status)
        except ValueError as problem:
            error = {"message": f"Bad request: {problem}", "type": "invalid_request_error"}
            return JSONResponse({"error": error}, status_code=HTTPStatus.BAD_REQUEST)

    return endpoint


def _object(body: bytes) -> Json:
    given = json.loads(body) if body else {}
    if not isinstance(given, dict):
        message = "The body must be a JSON object."
        raise ApiError(message)
    return given


def _work(request: Request, params: Json | None = None) -> AbstractContextManager[Call]:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox.work(str(request.base_url).rstrip("/"), params, request.path_params.get("id", ""))


def _typed(given: Json) -> dict[str, str]:
    """Translate the command's words into the names of the form's inputs."""
    names = {"email": "email", "name": "billingName", "postal_code": "billingPostalCode"}
    typed = {form: str(given[word]) for word, form in names.items() if word in given}
    number = str(given.get("card", "4242424242424242"))
    return {
        "billingName": "Test Buyer",
        "billingPostalCode": "12345",
        "cardNumber": number,
        "cardExpiry": str(given.get("expiry", "12 / 34")),
        "cardCvc": str(given.get("cvc", "1234" if number.startswith("37") else "123")),
        "method": str(given.get("method", "card")),
    } | typed


def _intent(call: Call, object_id: str) -> Json:
    """Return the intent, named itself or through its session or invoice."""
    if object_id.startswith("seti_"):
        return call.need("setup_intent", object_id)
    if object_id.startswith("cs_"):
        session = call.need("checkout.session", object_id)
        invoice_id, intent_id = session["invoice"], session["payment_intent"]
    else:
        invoice_id, intent_id = (object_id, None) if object_id.startswith("in_") else (None, object_id)
    if invoice_id and intent_id is None:
        intent = invoices.intent_of(call, invoice_id)
        intent_id = intent["id"] if intent else None
    if intent_id is None:
        message = "There is no payment."
        raise ApiError(message)
    return call.need("payment_intent", intent_id)
