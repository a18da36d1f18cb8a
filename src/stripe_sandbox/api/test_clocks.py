"""``/v1/test_helpers/test_clocks``. Leaves letting time pass to ``timekeeper``.

Stripe lets a clock go at most two billing intervals at once; here it goes as far as it is sent.
"""

from stripe_sandbox import alarms, clocks
from stripe_sandbox.api import lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing.periods import DAY
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import field_is

_URL = "/v1/test_helpers/test_clocks"
_KEPT_DAYS = 30


@endpoint("POST", _URL, "frozen_time", "name")
def create(call: Call) -> Json:
    """Create a clock that stands still."""
    body: Json = {
        "id": new_id("clock"),
        "object": clocks.KIND,
        "created": call.now,
        "deletes_after": call.now + _KEPT_DAYS * DAY,
        "frozen_time": call.params["frozen_time"],
        "livemode": False,
        "name": call.params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    return call.add(body, "test_helpers.test_clock.created")


@endpoint("GET", _URL, *LIST)
def list_all(call: Call) -> Json:
    """List clocks."""
    return lists.page(call, clocks.KIND, _URL)


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return a clock; it is done when its status is ``ready``."""
    return call.need(clocks.KIND, call.id, noun="testclock")


@endpoint("POST", _URL + "/{}/advance", "frozen_time")
def advance(call: Call) -> Json:
    """Send a clock forward; its time passes in the background."""
    return sent(call, call.need(clocks.KIND, call.id, noun="testclock"), call.params["frozen_time"])


def sent(call: Call, clock: Json, target: int) -> Json:
    """Send a clock forward to a time in seconds since 1970."""
    if clock["status"] != "ready":
        message = "Test clock advancement underway - cannot advance it again until it is ready."
        raise ApiError(message, code="test_clock_advancing", param="frozen_time")
    if target <= clock["frozen_time"]:
        message = "The frozen time must be after the clock's current time."
        raise ApiError(message, param="frozen_time")
    details = {"advancing": {"target_frozen_time": target}}
    body = clock | {"status": "advancing", "status_details": details}
    return call.save(body, "test_helpers.test_clock.advancing")


@endpoint("DELETE", _URL + "/{}")
def delete(call: Call) -> Json:
    """Delete a clock with its customers and all that they have."""
    clock = call.need(clocks.KIND, call.id, noun="testclock")
    for customer in call.store.find("customer", [field_is("test_clock", call.id)]):
        for kind in ("subscription", "invoice", "payment_method"):
            for owned in call.store.find(kind, [field_is("customer", customer["id"])]):
                alarms.drop(call, owned["id"])
                call.store.save({"id": owned["id"], "object": kind, "deleted": True})
        call.store.save({"id": customer["id"], "object": "customer", "deleted": True})
    stub = {"id": call.id, "object": clocks.KIND, "deleted": True}
    call.store.save(stub)
    call.emit("test_helpers.test_clock.deleted", clock)
    return stub
