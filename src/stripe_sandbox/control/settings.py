"""Settings of the sandbox: how slow it is, its tax, and how it goes after money that does not come.

They outlive a restart, except the latency.
"""

from decimal import Decimal, InvalidOperation

from starlette.requests import Request
from starlette.routing import Route

from stripe_sandbox.billing import collect, taxing
from stripe_sandbox.control.kit import post
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox

_LONGEST_LATENCY = 60_000
_CHOICES = {
    collect.AFTER_RETRIES: ("cancel", "unpaid", "past_due"),
    collect.INVOICE_AFTER_RETRIES: ("leave", "uncollectible"),
    taxing.TAX_STATUS: taxing.STATUSES,
}


def routes() -> list[Route]:
    """Return the route of the settings."""
    return [post("settings", settings)]


async def settings(request: Request, given: Json) -> Json:
    """Set what is named and return all settings."""
    sandbox: Sandbox = request.app.state.sandbox
    known = {"latency_ms", taxing.TAX_PERCENT, taxing.TAX_STATUS, *collect.DEFAULTS}
    for name in sorted(set(given) - known):
        raise ApiError(f"There is no setting {name}.", param=name)
    if "latency_ms" in given:
        sandbox.latency = _latency(int(given["latency_ms"])) / 1000
    for name in sorted(known & set(given) - {"latency_ms"}):
        sandbox.store.set_setting(name, _checked(name, str(given[name])))
    texts = {name: sandbox.store.setting(name) or default for name, default in collect.DEFAULTS.items()}
    return texts | {
        "latency_ms": int(sandbox.latency * 1000),
        taxing.TAX_PERCENT: sandbox.store.setting(taxing.TAX_PERCENT) or "",
        taxing.TAX_STATUS: sandbox.store.setting(taxing.TAX_STATUS) or "active",
    }


def _latency(given: int) -> int:
    if not 0 <= given <= _LONGEST_LATENCY:
        message = f"latency_ms must be between 0 and {_LONGEST_LATENCY}."
        raise ApiError(message, param="latency_ms")
    return given


def _checked(name: str, value: str) -> str:
    if name in _CHOICES and value not in _CHOICES[name]:
        message = f"{name} must be one of {', '.join(_CHOICES[name])}."
        raise ApiError(message, param=name)
    if name == taxing.TAX_PERCENT and value:
        _percent(value)
    if name == collect.RETRY_DAYS and not all(text.isdigit() for text in value.split(",") if text):
        message = f"{name} must be numbers of days with commas between them, such as 3,5,7."
        raise ApiError(message, param=name)
    return value


def _percent(value: str) -> None:
    most = 100
    try:
        fits = 0 <= Decimal(value) <= most
    except InvalidOperation:
        fits = False
    if not fits:
        message = "tax_percent must be a number between 0 and 100."
        raise ApiError(message, param=taxing.TAX_PERCENT)
