"""What the script and its frames ask for: confirm an intent, end 3-D Secure, make a payment method, look at an intent.

JSON in, as plain text so that browsers ask no leave first; JSON out, with status 200 for refusals too, which browsers
would else write into the page's console. A client secret is the leave to use an intent; a publishable key alone is not.
"""

import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stripe_sandbox import checkout, clocks, spec
from stripe_sandbox.api import payment_intents, payment_methods, setup_intents
from stripe_sandbox.call import Call
from stripe_sandbox.elements import seen
from stripe_sandbox.errors import ApiError, missing, unsupported
from stripe_sandbox.hosted import views
from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox

_Handler = Callable[[Request, Json], Awaitable[Json]]
_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
_LARGEST = 20_000
_CONFIRM = {"payment_intent": payment_intents.confirm, "setup_intent": setup_intents.confirm}
_TAKES = {"payment_method", "payment_method_data", "return_url", "receipt_email", "shipping", "mandate_data"}
"""What a page may say when it confirms; the rest of Stripe's is refused, not ignored."""


def routes() -> list[Route]:
    """Return the routes of the questions."""
    handlers = {
        "confirm": confirm,
        "authenticate": authenticate,
        "payment_methods": make_method,
        "retrieve": retrieve,
    }
    return [Route(f"/elements/{name}", _answered(one), methods=["POST"]) for name, one in handlers.items()]


async def confirm(request: Request, given: Json) -> Json:
    """Pay or save with what was typed, or with a payment method that is there."""
    params = _params(given)
    left_over = sorted(params.keys() - _TAKES)
    if left_over:
        raise unsupported(f"confirmParams.{left_over[0]}")
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.catch_up()
    with sandbox.work(views.base(request)) as reading:
        intent = _intent(reading, given)
        call = replace(clocks.at(reading, intent), ids=(intent["id"],), request_id=_request_id())
        try:
            call.params.update(_confirming(call, intent, params))
            ended = _CONFIRM[intent["object"]](call)
        except ApiError as refusal:
            refusal.extra.setdefault(intent["object"], intent)
            raise
    return {"intent": seen.intent(ended)}


async def authenticate(request: Request, given: Json) -> Json:
    """Take the buyer's answer to the bank's question: ``outcome`` is ``complete`` or ``fail``."""
    sandbox: Sandbox = request.app.state.sandbox
    with sandbox.work(views.base(request)) as reading:
        intent = _intent(reading, given)
        call = clocks.at(reading, intent)
        if intent["status"] != "requires_action":
            message = f"This {intent['object']} is {intent['status']} and needs no authentication."
            raise ApiError(message, code=f"{intent['object']}_unexpected_state")
        checkout.authenticate(call, intent, passed=given.get("outcome") == "complete")
        return {"intent": seen.intent(call.need(intent["object"], intent["id"]))}


async def make_method(request: Request, given: Json) -> Json:
    """Make a payment method of what was typed."""
    sandbox: Sandbox = request.app.state.sandbox
    checked = _checked("/v1/payment_methods", _params(given))
    with sandbox.work(views.base(request)) as call:
        return {"payment_method": payment_methods.from_data(replace(call, request_id=_request_id()), checked)}


async def retrieve(request: Request, given: Json) -> Json:
    """Show an intent."""
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.catch_up()
    return {"intent": seen.intent(_intent(sandbox.call(views.base(request)), given))}


def _confirming(call: Call, intent: Json, params: Json) -> Json:
    """Return the parameters as the API takes them; what was typed has become a payment method."""
    rest = {name: value for name, value in params.items() if name != "payment_method_data"}
    checked = _checked(f"/v1/{intent['object']}s/{intent['id']}/confirm", rest)
    if "payment_method_data" not in params:
        return checked
    typed = _checked("/v1/payment_methods", _params(params, "payment_method_data"))
    return checked | {"payment_method": payment_methods.from_data(call, typed)["id"]}


def _answered(handler: _Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def endpoint(request: Request) -> JSONResponse:
        try:
            given = await _given(request)
            _check_key(given.get("key"))
            answer = await handler(request, given)
        except ApiError as refusal:
            answer = {"error": seen.error(refusal.body()["error"])}
        return JSONResponse(answer, headers=_HEADERS)

    return endpoint


async def _given(request: Request) -> Json:
    body = await request.body()
    try:
        given = json.loads(body[:_LARGEST])
    except ValueError as problem:
        message = "The question is not JSON."
        raise ApiError(message) from problem
    if not isinstance(given, dict):
        message = "The question must be a JSON object."
        raise ApiError(message)
    return given


def _check_key(key: object) -> None:
    """Take any publishable test key, as the API takes any secret one."""
    if not isinstance(key, str) or not key.startswith("pk_test_"):
        message = "Invalid API Key provided. The sandbox takes any publishable key that begins with pk_test_."
        raise ApiError(message)


def _intent(call: Call, given: Json) -> Json:
    """Return the intent that a client secret belongs to."""
    secret = str(given.get("client_secret", ""))
    intent_id = secret.partition("_secret_")[0]
    found = call.store.get(intent_id)
    if found is None or found["object"] not in seen.KINDS:
        raise missing("payment_intent", intent_id, param="intent")
    if not hmac.compare_digest(found["client_secret"].encode(), secret.encode()):
        message = f"The client_secret provided does not match the client_secret associated with {intent_id}."
        raise ApiError(message, code="payment_intent_invalid_parameter", param="client_secret")
    return found


def _params(given: Json, name: str = "params") -> Json:
    params = given.get(name, {})
    if not isinstance(params, dict):
        message = f"{name} must be an object."
        raise ApiError(message)
    return params


def _checked(path: str, params: Json) -> Json:
    """Check parameters as the API does where a server sends them."""
    route = spec.match("POST", path)
    assert route is not None, path
    try:
        return spec.coerce(route, _form(params))
    except spec.ParamError as problem:
        raise ApiError(problem.message, code=problem.code, param=problem.param) from problem


def _form(value: Json) -> Json:
    """Return what a page gave as a form would carry it: texts and objects, without what is null."""
    return {
        name: _form(inner) if isinstance(inner, dict) else _text(inner)
        for name, inner in value.items()
        if inner is not None
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _request_id() -> str:
    return new_id("req", 14)
