"""Forms of the pages: deliver again, hold back and let go, send a test clock forward, switch faults.

Each does what the command of the same name does and leads back to the page. Forms of other sites are refused.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stripe_sandbox import clocks
from stripe_sandbox.api import test_clocks
from stripe_sandbox.control import fault_desk
from stripe_sandbox.delivery import Courier
from stripe_sandbox.errors import ApiError
from stripe_sandbox.hosted import views
from stripe_sandbox.sandbox import Sandbox

_HOURS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 32 * 24, "year": 366 * 24}
_OWN = ("same-origin", "none")
Form = dict[str, str]
Act = Callable[[Request, Form], Awaitable[str]]


def routes() -> list[Route]:
    """Return the routes of these forms."""
    return [
        _route("object/{id}/again", "object/{id}", again),
        _route("object/{id}/advance", "object/{id}", advance),
        _route("delivery", "", hold),
        _route("fault-desk", "fault-desk", faults),
    ]


def _route(path: str, back: str, act: Act) -> Route:
    """Return the route of a form, after which the page `back` is shown."""

    async def endpoint(request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in _OWN:
            return views.notice("Refused", "This form belongs to another site.", status=HTTPStatus.FORBIDDEN)
        try:
            said = {"said": await act(request, await views.typed(request))}
        except ApiError as refusal:
            said = {"error": refusal.message}
        return views.see(f"/_sandbox/{back.format(**request.path_params)}?{urlencode(said)}")

    return Route(f"/_sandbox/{path}", endpoint, methods=["POST"])


async def again(request: Request, form: Form) -> str:
    """Deliver an event again, to one endpoint or to all."""
    sandbox: Sandbox = request.app.state.sandbox
    courier: Courier = request.app.state.courier
    call = sandbox.call()
    event = call.need("event", request.path_params["id"])
    chosen = form.get("endpoint")
    if chosen:
        endpoints = [call.need("webhook_endpoint", chosen, param="endpoint")]
    else:
        endpoints = sandbox.store.find("webhook_endpoint", oldest_first=True)
    answers = [str(one) for end in endpoints for one in await courier.send_again(event["id"], end, times=1)]
    return f"Delivered again; answered {', '.join(answers)}." if answers else "There is no endpoint."


async def advance(request: Request, form: Form) -> str:
    """Send a test clock forward by a number of hours, days, weeks, months (of 32 days) or years."""
    sandbox: Sandbox = request.app.state.sandbox
    count, unit = form.get("count", "1"), form.get("unit", "day")
    if unit not in _HOURS or not (count.isascii() and count.isdecimal() and 0 < int(count) < 1000):
        message = "Give a number from 1 to 999 and a unit."
        raise ApiError(message)
    with sandbox.work(views.base(request)) as call:
        clock = call.need(clocks.KIND, request.path_params["id"], noun="testclock")
        target = clock["frozen_time"] + int(count) * _HOURS[unit] * 3600
        test_clocks.sent(call, clock, target)
    return "The clock is on its way."


async def hold(request: Request, form: Form) -> str:
    """Hold deliveries back, or let them go."""
    courier: Courier = request.app.state.courier
    courier.pause(on=form.get("action") == "pause")
    return "Deliveries are held back." if courier.paused else "Deliveries go out."


async def faults(request: Request, form: Form) -> str:
    """Switch faults on and off."""
    sandbox: Sandbox = request.app.state.sandbox
    action = form.pop("action", "")
    if action == "add":
        fault_desk.switched_on(sandbox, form)
    elif action == "deliveries":
        fault_desk.set_for_deliveries(sandbox, form)
    elif action == "reset":
        sandbox.faults.reset()
    else:
        fault_desk.switched_off(sandbox, action.removeprefix("end "))
    return "Done."
