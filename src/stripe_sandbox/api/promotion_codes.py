"""``/v1/promotion_codes``: words that a buyer types for a coupon."""

from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only
from stripe_sandbox.ids import new_id, random_text
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import Where, field_is

_URL = "/v1/promotion_codes"


@endpoint(
    "POST",
    _URL,
    "promotion",
    "code",
    "active",
    "customer",
    "expires_at",
    "max_redemptions",
    "metadata",
    "restrictions",
)
def create(call: Call) -> Json:
    """Create a code; only one active code of a name can be."""
    params = call.params
    promotion = only(params["promotion"], "promotion", "type", "coupon")
    coupon = call.need("coupon", promotion.get("coupon", ""), param="promotion[coupon]")
    code = params.get("code") or random_text(8).upper()
    if _same(call, code):
        message = "An active promotion code with that code already exists."
        raise ApiError(message, code="promotion_code_already_exists", param="code")
    if params.get("customer"):
        call.need("customer", params["customer"], param="customer")
    given = only(
        params.get("restrictions", {}),
        "restrictions",
        "first_time_transaction",
        "minimum_amount",
        "minimum_amount_currency",
    )
    body: Json = {
        "id": new_id("promo"),
        "object": "promotion_code",
        "active": params.get("active", True),
        "code": code,
        "created": call.now,
        "customer": params.get("customer"),
        "customer_account": None,
        "expires_at": params.get("expires_at"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": changes.metadata(params.get("metadata")),
        "promotion": {"coupon": coupon["id"], "type": "coupon"},
        "restrictions": {
            "first_time_transaction": given.get("first_time_transaction", False),
            "minimum_amount": given.get("minimum_amount"),
            "minimum_amount_currency": given.get("minimum_amount_currency"),
        },
        "times_redeemed": 0,
    }
    return call.add(body, "promotion_code.created")


@endpoint("GET", _URL, *LIST, "code", "active", "coupon", "customer")
def list_all(call: Call) -> Json:
    """List codes."""
    where = lists.matching(call, "active", "customer")
    if "code" in call.params:
        where.append(_named(call.params["code"]))
    if "coupon" in call.params:
        where.append(field_is("promotion.coupon", call.params["coupon"]))
    return lists.page(call, "promotion_code", _URL, where)


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return a code."""
    return call.need("promotion_code", call.id)


@endpoint("POST", _URL + "/{}", "active", "metadata")
def update(call: Call) -> Json:
    """Switch a code on or off, or change its metadata."""
    before = call.need("promotion_code", call.id)
    body = before | changes.fields(call.params, "active")
    body["metadata"] = changes.metadata(call.params.get("metadata"), before["metadata"])
    return call.save(body, "promotion_code.updated", before)


def _named(code: str) -> Where:
    return Where("lower(json_extract(body, '$.code')) = ?", (code.lower(),))


def _same(call: Call, code: str) -> bool:
    return bool(call.store.find("promotion_code", [_named(code), field_is("active", 1)], limit=1))
