"""``/v1/prices``: immutable amounts with movable lookup keys.

Leaves tiers, packages and currency options to a later part.
"""

from decimal import Decimal

from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import catalog
from stripe_sandbox.store import Where, field_is

_LONGEST_LOOKUP = 200
_MOST_LOOKUPS = 10
_TAKES = ("active", "lookup_key", "metadata", "nickname", "tax_behavior", "transfer_lookup_key")


@endpoint(
    "POST",
    "/v1/prices",
    *_TAKES,
    "currency",
    "product",
    "product_data",
    "recurring",
    "unit_amount",
    "unit_amount_decimal",
    "billing_scheme",
)
def create(call: Call) -> Json:
    """Create a price for a product, or together with a new one."""
    params = call.params
    if ("product" in params) == ("product_data" in params):
        message = "You must specify either `product` or `product_data` when creating a price."
        raise ApiError(message, code="parameter_missing", param="product")
    if "product" in params:
        product_id = call.need("product", params["product"], param="product")["id"]
    else:
        product_id = new_product(call, params["product_data"])["id"]
    if params.get("billing_scheme", "per_unit") != "per_unit":
        message = "The sandbox does not support tiered prices yet."
        raise ApiError(message, code="sandbox_unsupported", param="billing_scheme")
    return new(call, product_id, params)


@endpoint("GET", "/v1/prices", *LIST, "active", "currency", "lookup_keys", "product", "recurring", "type")
def list_all(call: Call) -> Json:
    """List prices."""
    where: list[Where] = lists.matching(call, "active", "currency", "product", "type")
    if len(call.params.get("lookup_keys", [])) > _MOST_LOOKUPS:
        message = f"You may only pass up to {_MOST_LOOKUPS} lookup keys."
        raise ApiError(message, param="lookup_keys")
    if "lookup_keys" in call.params:
        where.append(field_is("lookup_key", *call.params["lookup_keys"]))
    for name, value in call.params.get("recurring", {}).items():
        where.append(field_is(f"recurring.{name}", value))
    return lists.page(call, "price", "/v1/prices", where)


@endpoint("GET", "/v1/prices/{}")
def retrieve(call: Call) -> Json:
    """Return a price."""
    return call.need("price", call.id)


@endpoint("POST", "/v1/prices/{}", *_TAKES)
def update(call: Call) -> Json:
    """Change what may change: never the amount."""
    before = call.need("price", call.id)
    body = before | changes.fields(call.params, "lookup_key", "nickname")
    settled, wanted = before["tax_behavior"], call.params.get("tax_behavior")
    if wanted not in (None, settled) and settled != "unspecified":
        message = "You cannot update the `tax_behavior` of a price that is already set."
        raise ApiError(message, param="tax_behavior")
    for name in ("active", "tax_behavior"):
        if name in call.params:
            body[name] = call.params[name]
    body["metadata"] = changes.metadata(call.params.get("metadata"), before["metadata"])
    _claim_lookup_key(call, body)
    return call.save(body, "price.updated", before)


def new(call: Call, product_id: str, given: Json, *, listed: bool = True) -> Json:
    """Write down a price; `given` holds currency and amount in minor units.

    A price made inline for one session (`listed` false) is not active, as at Stripe.
    """
    exact = _amount(given)
    body = catalog.price(
        call.now,
        {
            "active": given.get("active", True) and listed,
            "currency": _currency(given),
            "lookup_key": given.get("lookup_key") or None,
            "metadata": changes.metadata(given.get("metadata")),
            "nickname": given.get("nickname") or None,
            "product": product_id,
            "recurring": (catalog.recurring(given["recurring"]) if given.get("recurring") else None),
            "tax_behavior": given.get("tax_behavior", "unspecified"),
            "unit_amount": int(exact) if exact == exact.to_integral_value() else None,
            "unit_amount_decimal": format(exact.normalize(), "f"),
        },
    )
    _claim_lookup_key(call, body)
    return call.add(body, "price.created")


def new_product(call: Call, given: Json) -> Json:
    """Write down a product that was given inline with a price."""
    fields = {
        "name": given["name"],
        "active": given.get("active", True),
        "description": given.get("description") or None,
        "images": given.get("images", []),
        "metadata": changes.metadata(given.get("metadata")),
        "unit_label": given.get("unit_label") or None,
        "statement_descriptor": given.get("statement_descriptor") or None,
        "tax_code": given.get("tax_code") or None,
    }
    if "id" in given:
        fields["id"] = given["id"]
    return call.add(catalog.product(call.now, fields), "product.created")


def _amount(given: Json) -> Decimal:
    if "unit_amount" in given:
        amount = Decimal(given["unit_amount"])
        param = "unit_amount"
    elif "unit_amount_decimal" in given:
        amount = Decimal(str(given["unit_amount_decimal"]))
        param = "unit_amount_decimal"
    else:
        message = "Missing required param: unit_amount."
        raise ApiError(message, code="parameter_missing", param="unit_amount")
    if amount < 0:
        message = "Invalid non-negative integer"
        raise ApiError(message, code="parameter_invalid_integer", param=param)
    return amount


def _currency(given: Json) -> str:
    letters = 3
    currency = str(given["currency"]).lower()
    if len(currency) != letters or not currency.isalpha():
        message = f"Invalid currency: {currency}."
        raise ApiError(message, param="currency")
    return currency


def _claim_lookup_key(call: Call, body: Json) -> None:
    """Move the lookup key here if asked to; refuse one that another price holds."""
    key = body["lookup_key"]
    if key is None:
        return
    if len(key) > _LONGEST_LOOKUP:
        message = f"Invalid string: lookup_key must be at most {_LONGEST_LOOKUP} characters"
        raise ApiError(message, param="lookup_key")
    for holder in call.store.find("price", [field_is("lookup_key", key)]):
        if holder["id"] == body["id"]:
            continue
        if not call.params.get("transfer_lookup_key"):
            message = f"A price (`{holder['id']}`) already uses that lookup key."
            raise ApiError(message, param="lookup_key")
        call.save(holder | {"lookup_key": None}, "price.updated", holder)
