"""``/v1/subscription_schedules``, begun from a subscription. Leaves what becomes of phases to ``billing``."""

from collections.abc import Sequence

from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import periods, pricing, schedules
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import schedules as shapes
from stripe_sandbox.store import Where

_URL = "/v1/subscription_schedules"
_PHASE = (
    "automatic_tax",
    "default_payment_method",
    "discounts",
    "duration",
    "end_date",
    "items",
    "metadata",
    "proration_behavior",
    "start_date",
    "trial_end",
)
_ENDINGS = ("cancel", "release")


@endpoint("POST", _URL, "from_subscription", "metadata")
def create(call: Call) -> Json:
    """Put a subscription under a schedule."""
    if not call.params.get("from_subscription"):
        raise unsupported("customer")
    subscription = call.need("subscription", call.params["from_subscription"], param="from_subscription")
    return schedules.begin(call, subscription, changes.metadata(call.params.get("metadata")))


@endpoint("GET", _URL, *LIST, "customer", "scheduled", "canceled_at", "completed_at", "released_at")
def list_all(call: Call) -> Json:
    """List schedules by customer and by how they ended."""
    where: list[Where] = lists.matching(call, "customer")
    for name in ("canceled_at", "completed_at", "released_at"):
        where += lists.within(call, name, f"json_extract(body, '$.{name}')")
    if call.params.get("scheduled"):
        where.append(Where("json_extract(body, '$.status') = 'not_started'"))
    return lists.page(call, schedules.KIND, _URL, where)


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return a schedule."""
    return call.need(schedules.KIND, call.id)


@endpoint("POST", _URL + "/{}", "phases", "end_behavior", "metadata", "proration_behavior")
def update(call: Call) -> Json:
    """Change the phases to come; the one that runs stays as it is."""
    before = call.need(schedules.KIND, call.id)
    schedules.need_active(before, "update")
    params = call.params
    body = before | {"metadata": changes.metadata(params.get("metadata"), before["metadata"])}
    ending = params.get("end_behavior", before["end_behavior"])
    if ending not in _ENDINGS:
        raise unsupported("end_behavior")
    body["end_behavior"] = ending
    if params.get("phases"):
        body["phases"] = _phases(call, before, params["phases"])
    return call.save(body, "subscription_schedule.updated", before)


@endpoint("POST", _URL + "/{}/release", "preserve_cancel_date")
def release(call: Call) -> Json:
    """Let go of the subscription."""
    return schedules.release(call, call.need(schedules.KIND, call.id))


@endpoint("POST", _URL + "/{}/cancel", "invoice_now", "prorate")
def cancel(call: Call) -> Json:
    """End the schedule with its subscription."""
    if call.params.get("invoice_now") or call.params.get("prorate"):
        raise unsupported("invoice_now")
    return schedules.cancel(call, call.need(schedules.KIND, call.id))


def _phases(call: Call, schedule: Json, given: Sequence[Json]) -> list[Json]:
    """Return the phases one after the other; the first is the one that runs."""
    subscription = call.need("subscription", schedule["subscription"])
    running = shapes.current(subscription)
    found: list[Json] = []
    for place, one in enumerate(given):
        begins = found[-1]["end_date"] if found else schedule["current_phase"]["start_date"]
        found.append(_phase(call, schedule, one, f"phases[{place}]", begins))
    same = [(item["price"], item["quantity"]) for item in found[0]["items"]]
    if same != [(item["price"], item["quantity"]) for item in running["items"]]:
        # The phase that runs would change the subscription now.
        raise unsupported("phases[0][items]")
    if found[0]["end_date"] <= call.now:
        message = "The current phase must end in the future."
        raise ApiError(message, param="phases[0][end_date]")
    return found


def _phase(call: Call, schedule: Json, given: Json, param: str, begins: int) -> Json:
    only(given, param, *_PHASE)
    if given.get("start_date", begins) != begins:
        message = (
            "You can not modify the start date of the current phase, and each phase begins where one ends."
        )
        raise ApiError(message, param=f"{param}[start_date]")
    items = [_item(call, one, f"{param}[items][{at}]") for at, one in enumerate(given["items"])]
    tax = schedule["default_settings"]["automatic_tax"]
    if "automatic_tax" in given:
        tax = {"disabled_reason": None, "enabled": bool(given["automatic_tax"]["enabled"]), "liability": None}
    return shapes.phase(
        {
            "automatic_tax": tax,
            "currency": schedule["phases"][0]["currency"],
            "default_payment_method": _method(call, schedule, given, param),
            "discounts": schedules.alive(call, _discounts(given, param)),
            "end_date": _end(given, param, begins),
            "items": items,
            "metadata": changes.metadata(given.get("metadata")),
            "proration_behavior": given.get("proration_behavior", "create_prorations"),
            "start_date": begins,
            "trial_end": given.get("trial_end"),
        }
    )


def _item(call: Call, given: Json, param: str) -> Json:
    only(given, param, "price", "quantity")
    price = pricing.recurring(call, given.get("price", ""), param=f"{param}[price]")
    return shapes.item(price, int(given.get("quantity", 1)))


def _method(call: Call, schedule: Json, given: Json, param: str) -> str | None:
    if not given.get("default_payment_method"):
        return None
    where = f"{param}[default_payment_method]"
    method = call.need("payment_method", given["default_payment_method"], param=where, noun="PaymentMethod")
    if method["customer"] != schedule["customer"]:
        message = f"The customer does not have a payment method with the ID {method['id']}."
        raise ApiError(message, code="resource_missing", param=where)
    return str(method["id"])


def _discounts(given: Json, param: str) -> list[Json]:
    """Return the discounts that are to go on; without any, a phase has none."""
    found = []
    for place, one in enumerate(given.get("discounts") or []):
        only(one, f"{param}[discounts][{place}]", "discount")
        found.append({"coupon": None, "discount": one["discount"], "promotion_code": None})
    return found


def _end(given: Json, param: str, begins: int) -> int:
    if ("end_date" in given) == ("duration" in given):
        message = f"You must specify either `{param}[end_date]` or `{param}[duration]`."
        raise ApiError(message, code="parameter_missing", param=f"{param}[end_date]")
    if "duration" in given:
        long = given["duration"]
        return periods.add(begins, str(long["interval"]), int(long.get("interval_count", 1)))
    ends = given["end_date"]
    if not isinstance(ends, int) or ends <= begins:
        message = "A phase must end after it begins."
        raise ApiError(message, param=f"{param}[end_date]")
    return ends
