"""``/v1/checkout/sessions`` in payment mode. Leaves paying to ``checkout``."""

from stripe_sandbox import checkout, payment
from stripe_sandbox.api import changes, lists, prices
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import checkout as shapes
from stripe_sandbox.store import Where

_DAY = 24 * 3600
_HALF_HOUR = 30 * 60
_MOST_LINES = 100
_SMALLEST = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "cad": 50, "aud": 50, "chf": 50}
"""Smallest charge in minor units: docs.stripe.com/currencies#minimum-and-maximum-charge-amounts."""

_INVOICE = ("enabled", "invoice_data")
_INVOICE_DATA = ("custom_fields", "description", "footer", "metadata")
_INTENT_DATA = ("description", "metadata", "receipt_email", "setup_future_usage")
_URLS = ("success_url", "cancel_url")


@endpoint(
    "POST",
    "/v1/checkout/sessions",
    *_URLS,
    "mode",
    "line_items",
    "customer",
    "customer_creation",
    "customer_email",
    "customer_update",
    "client_reference_id",
    "metadata",
    "payment_intent_data",
    "invoice_creation",
    "expires_at",
    "allow_promotion_codes",
    "currency",
    "locale",
    "submit_type",
    "billing_address_collection",
    "payment_method_collection",
    "ui_mode",
    "phone_number_collection",
    "automatic_tax",
)
def create(call: Call) -> Json:
    """Open a session; prices and quantities are bound now."""
    _check(call)
    params = call.params
    lines = [_line(call, place, line) for place, line in enumerate(params["line_items"])]
    currency = _one_currency(lines)
    total = sum(line["amount_total"] for line in lines)
    smallest = _SMALLEST.get(currency, 1)
    if 0 < total < smallest:
        message = (
            "The Checkout Session's total amount due must add up to at least "
            f"{smallest} {currency} in minor units."
        )
        raise ApiError(message, code="amount_too_small")
    body = shapes.session(call.now, _fields(call, currency, total))
    body["url"] = f"{call.base_url}/c/pay/{body['id']}"
    notes = {
        "line_items": lines,
        "payment_intent_data": params.get("payment_intent_data", {}),
        "customer_update": only(params.get("customer_update", {}), "customer_update", "address", "name"),
    }
    return call.add(body, private=notes)


@endpoint("GET", "/v1/checkout/sessions", *LIST, "customer", "payment_intent", "status")
def list_all(call: Call) -> Json:
    """List sessions by customer, payment intent or status."""
    where: list[Where] = lists.matching(call, "customer", "payment_intent", "status")
    return lists.page(call, "checkout.session", "/v1/checkout/sessions", where)


@endpoint("GET", "/v1/checkout/sessions/{}")
def retrieve(call: Call) -> Json:
    """Return a session."""
    return _need(call)


@endpoint("POST", "/v1/checkout/sessions/{}", "metadata")
def update(call: Call) -> Json:
    """Change a session's metadata."""
    before = _need(call)
    merged = changes.metadata(call.params.get("metadata"), before["metadata"])
    return call.save(before | {"metadata": merged})


@endpoint("POST", "/v1/checkout/sessions/{}/expire")
def expire(call: Call) -> Json:
    """Close an open session."""
    session = _need(call)
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of `{session['status']}`."
        )
        raise ApiError(message)
    return checkout.expire(call, session)


@endpoint("GET", "/v1/checkout/sessions/{}/line_items", *LIST)
def line_items(call: Call) -> Json:
    """List what is bought."""
    session = _need(call)
    items = call.store.private(session["id"])["line_items"]
    return lists.slice_of(call, items, f"/v1/checkout/sessions/{session['id']}/line_items")


def _need(call: Call) -> Json:
    return call.need("checkout.session", call.id, noun="checkout.session")


def _check(call: Call) -> None:
    """Refuse what is missing, contradictory or left to a later part."""
    params = call.params
    for name in ("mode", "success_url", "line_items"):
        if not params.get(name):
            message = f"Missing required param: {name}."
            raise ApiError(message, code="parameter_missing", param=name)
    for name, value in (("mode", "payment"), ("ui_mode", "hosted_page")):
        if params.get(name, value) != value:
            raise unsupported(name)
    for name in ("automatic_tax", "phone_number_collection"):
        if params.get(name, {}).get("enabled"):
            raise unsupported(f"{name}[enabled]")
    if len(params["line_items"]) > _MOST_LINES:
        message = f"Invalid array: line_items can have at most {_MOST_LINES} entries."
        raise ApiError(message, param="line_items")
    invoice = only(params.get("invoice_creation", {}), "invoice_creation", *_INVOICE)
    only(invoice.get("invoice_data", {}), "invoice_creation[invoice_data]", *_INVOICE_DATA)
    only(params.get("payment_intent_data", {}), "payment_intent_data", *_INTENT_DATA)
    _check_urls_and_expiry(call)
    _check_customer(call)


def _check_customer(call: Call) -> None:
    params = call.params
    if "customer" in params:
        call.need("customer", params["customer"], param="customer")
        for name in ("customer_email", "customer_creation"):
            if name in params:
                message = f"You may only specify one of these parameters: customer, {name}."
                raise ApiError(message, param=name)
    elif "customer_update" in params:
        message = "`customer_update` can only be used with `customer`."
        raise ApiError(message, param="customer_update")


def _check_urls_and_expiry(call: Call) -> None:
    for name in _URLS:
        given = call.params.get(name, "http://")
        if not given.startswith(("http://", "https://")):
            message = "Not a valid URL"
            raise ApiError(message, code="url_invalid", param=name)
    at = call.params.get("expires_at")
    if at is None or _HALF_HOUR - 60 <= at - call.now <= _DAY + 60:
        return
    message = (
        "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
    )
    raise ApiError(message, param="expires_at")


def _line(call: Call, place: int, given: Json) -> Json:
    param = f"line_items[{place}]"
    if ("price" in given) == ("price_data" in given):
        message = f"You must specify either `{param}[price]` or `{param}[price_data]`."
        raise ApiError(message, code="parameter_missing", param=f"{param}[price]")
    quantity = given.get("quantity")
    if quantity is None or quantity < 1:
        message = "Quantity is required. Add `quantity` of at least 1 to `line_items`."
        code = "parameter_missing" if quantity is None else "parameter_invalid_integer"
        raise ApiError(message, code=code, param=f"{param}[quantity]")
    if "price" in given:
        price = call.need("price", given["price"], param=f"{param}[price]")
        if not price["active"]:
            message = "The price specified is inactive. This field only accepts active prices."
            raise ApiError(message, param=f"{param}[price]")
    else:
        price = _inline_price(call, given["price_data"], param)
    for name in ("tax_rates", "adjustable_quantity"):
        if name in given:
            raise unsupported(f"{param}[{name}]")
    if price["recurring"] or price["unit_amount"] is None:
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices."
        )
        raise ApiError(message, param=param)
    product = call.need("product", price["product"], param=f"{param}[price]")
    return shapes.line_item(
        price,
        description=product["name"],
        quantity=quantity,
        metadata=changes.metadata(given.get("metadata")),
    )


def _inline_price(call: Call, given: Json, param: str) -> Json:
    if "product" in given:
        product = call.need("product", given["product"], param=f"{param}[price_data][product]")
    elif "product_data" in given:
        product = prices.new_product(call, given["product_data"] | {"active": False})
    else:
        message = f"Missing required param: {param}[price_data][product_data]."
        name = f"{param}[price_data][product_data]"
        raise ApiError(message, code="parameter_missing", param=name)
    return prices.new(call, product["id"], given, listed=False)


def _one_currency(lines: list[Json]) -> str:
    currencies = {line["currency"] for line in lines}
    if len(currencies) > 1:
        message = "All prices on a Checkout Session must be in the same currency."
        raise ApiError(message, param="line_items")
    return str(currencies.pop())


def _fields(call: Call, currency: str, total: int) -> Json:
    params = call.params
    if params.get("currency", currency) != currency:
        message = f"The prices are in {currency}; the sandbox has no currency options yet."
        raise ApiError(message, param="currency")
    fields = changes.fields(
        params,
        *_URLS,
        "client_reference_id",
        "customer",
        "customer_email",
        "allow_promotion_codes",
        "locale",
        "submit_type",
        "billing_address_collection",
    )
    fields |= {
        "amount_subtotal": total,
        "amount_total": total,
        "currency": currency,
        "expires_at": params.get("expires_at", call.now + _DAY),
        "invoice_creation": shapes.invoice_creation(params.get("invoice_creation")),
        "metadata": changes.metadata(params.get("metadata")),
        "payment_method_types": ["card", payment.bank_scheme(currency)],
        "payment_method_collection": params.get("payment_method_collection", "if_required"),
    }
    if "customer" not in params:
        fields["customer_creation"] = params.get("customer_creation", "if_required")
    fields["customer_details"] = _known_buyer(call)
    return fields


def _known_buyer(call: Call) -> Json | None:
    if "customer" in call.params:
        customer = call.need("customer", call.params["customer"], param="customer")
        known = {name: customer[name] for name in ("address", "email", "name", "phone")}
        return shapes.customer_details(known | {"tax_exempt": customer["tax_exempt"]})
    if call.params.get("customer_email"):
        return shapes.customer_details({"email": call.params["customer_email"]})
    return None
