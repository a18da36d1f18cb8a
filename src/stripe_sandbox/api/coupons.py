"""``/v1/coupons``. Leaves what they take off to ``billing.discounts``."""

from http import HTTPStatus

from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import discounts
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only
from stripe_sandbox.ids import random_text
from stripe_sandbox.kinds import Json

_URL = "/v1/coupons"
_WHOLE = 100


@endpoint(
    "POST",
    _URL,
    "id",
    "amount_off",
    "percent_off",
    "currency",
    "duration",
    "duration_in_months",
    "max_redemptions",
    "redeem_by",
    "name",
    "metadata",
    "applies_to",
)
def create(call: Call) -> Json:
    """Create a coupon of a percentage or an amount."""
    params = call.params
    chosen = params.get("id") or random_text(8)
    if call.store.get(chosen) is not None:
        message = "Coupon already exists."
        raise ApiError(message, code="resource_already_exists", param="id")
    _check(params)
    body: Json = {
        "id": chosen,
        "object": "coupon",
        "amount_off": params.get("amount_off") or None,
        "created": call.now,
        "currency": str(params["currency"]).lower() if params.get("amount_off") else None,
        "duration": params.get("duration", "once"),
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": changes.metadata(params.get("metadata")),
        "name": params.get("name") or None,
        "percent_off": params.get("percent_off") or None,
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    if "applies_to" in params:
        products = only(params["applies_to"], "applies_to", "products").get("products", [])
        body["applies_to"] = {"products": products}
    return call.add(body, "coupon.created")


@endpoint("GET", _URL, *LIST)
def list_all(call: Call) -> Json:
    """List coupons."""
    page = lists.page(call, "coupon", _URL)
    page["data"] = [_now(call, coupon) for coupon in page["data"]]
    return page


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return a coupon."""
    return _now(call, call.need("coupon", call.id))


@endpoint("POST", _URL + "/{}", "name", "metadata")
def update(call: Call) -> Json:
    """Change a coupon's name or metadata; what it takes off stays."""
    before = call.need("coupon", call.id)
    body = before | changes.fields(call.params, "name")
    body["metadata"] = changes.metadata(call.params.get("metadata"), before["metadata"])
    return _now(call, call.save(body, "coupon.updated", before))


@endpoint("DELETE", _URL + "/{}")
def delete(call: Call) -> Json:
    """Delete a coupon; who has redeemed it keeps the discount."""
    before = call.need("coupon", call.id)
    stub = {"id": call.id, "object": "coupon", "deleted": True}
    call.store.note(call.id, was=before)
    call.save(stub)
    call.emit("coupon.deleted", before)
    return stub


def _now(call: Call, coupon: Json) -> Json:
    return coupon | {"valid": discounts.is_valid(call, coupon)}


def _check(params: Json) -> None:
    if bool(params.get("percent_off")) == bool(params.get("amount_off")):
        message = "You must pass either percent_off or amount_off."
        raise ApiError(message, status=HTTPStatus.BAD_REQUEST, code="parameter_missing", param="percent_off")
    if params.get("amount_off") and not params.get("currency"):
        message = "Missing required param: currency."
        raise ApiError(message, code="parameter_missing", param="currency")
    if params.get("percent_off") and not 0 < params["percent_off"] <= _WHOLE:
        message = "percent_off must be greater than 0 and at most 100."
        raise ApiError(message, param="percent_off")
    if (params.get("duration") == "repeating") != ("duration_in_months" in params):
        message = "`duration_in_months` is required with, and only with, `duration=repeating`."
        raise ApiError(message, param="duration_in_months")
