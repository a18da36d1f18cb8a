"""Commands that switch faults on and off. Leaves what they do to ``faults``.

``POST faults/api`` adds one fault of the API, ``POST faults/deliveries`` sets the faults of deliveries,
``GET faults`` lists all, ``POST faults/{id}/end`` ends one, ``POST faults/reset`` all.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.routing import Route

from stripe_sandbox import faults
from stripe_sandbox.control.kit import answered, post
from stripe_sandbox.errors import ApiError, missing
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox

_LONGEST_SECONDS = 600
_MOST = 1_000_000
_ROUTE_LENGTH = 200


def routes() -> list[Route]:
    """Return the routes of these commands."""
    return [
        Route("/_sandbox/faults", answered(listed), methods=["GET"]),
        post("faults/api", add),
        post("faults/deliveries", deliveries),
        post("faults/reset", reset),
        post("faults/{id}/end", end),
    ]


async def listed(request: Request, _given: Json) -> Json:
    """List all faults and how often each of them struck."""
    return _faults(request).shown()


async def add(request: Request, given: Json) -> Json:
    """Switch a fault of the API on: ``kind``, ``route``, ``times`` or ``probability`` with ``seed``, ``seconds``."""
    return switched_on(_sandbox(request), given).shown()


def switched_on(sandbox: Sandbox, given: Json) -> faults.ApiFault:
    """Switch a fault of the API on, as described."""
    known = _checked(
        given,
        {
            "kind": _one_of(faults.KINDS),
            "route": _text,
            "times": _number(int, 1, _MOST),
            "probability": _number(float, 0, 1),
            "seed": _number(int, 0, _MOST),
            "seconds": _number(float, 0, _LONGEST_SECONDS),
        },
    )
    if "kind" not in known:
        message = f"kind must be one of {', '.join(faults.KINDS)}."
        raise ApiError(message, code="parameter_missing", param="kind")
    if "probability" in known:
        known.setdefault("times", None)
    return sandbox.faults.add(**known)


async def deliveries(request: Request, given: Json) -> Json:
    """Set what happens to deliveries; what is not named is off."""
    return set_for_deliveries(_sandbox(request), given).shown()


def set_for_deliveries(sandbox: Sandbox, given: Json) -> faults.DeliveryFaults:
    """Set what happens to deliveries, as described."""
    chance, wait = _number(float, 0, 1), _number(int, 0, faults.LONGEST_WAIT_MS)
    known = _checked(
        given,
        {
            "duplicate": chance,
            "drop": chance,
            "delay_ms": wait,
            "shuffle_ms": wait,
            "seed": _number(int, 0, _MOST),
            "endpoint": _text,
        },
    )
    if "endpoint" in known:
        sandbox.call().need("webhook_endpoint", known["endpoint"], param="endpoint")
    sandbox.faults.deliveries = faults.DeliveryFaults(**known)
    return sandbox.faults.deliveries


async def reset(request: Request, _given: Json) -> Json:
    """Switch all faults off."""
    _faults(request).reset()
    return _faults(request).shown()


async def end(request: Request, _given: Json) -> Json:
    """Switch one fault of the API off."""
    return switched_off(_sandbox(request), request.path_params["id"]).shown()


def switched_off(sandbox: Sandbox, fault_id: str) -> faults.ApiFault:
    """Switch one fault of the API off and return it."""
    found = next((fault for fault in sandbox.faults.api if fault.id == fault_id), None)
    if found is None:
        raise missing("fault", fault_id)
    sandbox.faults.api.remove(found)
    return found


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


def _faults(request: Request) -> faults.Faults:
    return _sandbox(request).faults


def _checked(given: Json, readers: dict[str, Callable[[str, object], object]]) -> Json:
    """Read each word by its reader; nulls and empty texts count as not given."""
    for name in sorted(set(given) - set(readers)):
        message = f"There is no {name} here; there are {', '.join(readers)}."
        raise ApiError(message, code="parameter_unknown", param=name)
    return {name: readers[name](name, value) for name, value in given.items() if value not in (None, "")}


def _number(kind: type, least: float, most: float) -> Callable[[str, object], object]:
    def read(name: str, value: object) -> object:
        try:
            number = kind(value)
        except (TypeError, ValueError):
            number = None
        if number is None or not least <= number <= most:
            message = f"{name} must be a number from {least:g} to {most:g}."
            raise ApiError(message, param=name)
        return number

    return read


def _one_of(words: tuple[str, ...]) -> Callable[[str, object], object]:
    def read(name: str, value: object) -> object:
        if value not in words:
            message = f"{name} must be one of {', '.join(words)}."
            raise ApiError(message, param=name)
        return value

    return read


def _text(_name: str, value: object) -> object:
    return str(value)[:_ROUTE_LENGTH]
