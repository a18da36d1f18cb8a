"""``/v1/checkout/sessions`` in all three modes. Leaves its lines to ``session_lines``, paying to ``checkout``."""

from stripe_sandbox import checkout, payment, reckoning
from stripe_sandbox.api import changes, lists, older, session_lines, terms
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import taxing
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import checkout as shapes
from stripe_sandbox.store import Where

_DAY = 24 * 3600
_HALF_HOUR = 30 * 60
_MOST_LINES = 100
_INVOICE = ("enabled", "invoice_data")
_INVOICE_DATA = ("custom_fields", "description", "footer", "metadata")
_INTENT_DATA = ("description", "metadata", "receipt_email", "setup_future_usage", "shipping")
_SETUP_DATA = ("description", "metadata")
_SUBSCRIPTION_DATA = (
    "description",
    "metadata",
    "trial_period_days",
    "trial_end",
    "trial_settings",
    "billing_mode",
)
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
    "discounts",
    "subscription_data",
    "setup_intent_data",
    older.METHOD_TYPES,
)
def create(call: Call) -> Json:
    """Open a session; prices and quantities are bound now."""
    _check(call)
    params = call.params
    mode = params["mode"]
    trial = _trial_end(call)
    sources = params.get("discounts") or []
    taxed = bool(params.get("automatic_tax", {}).get("enabled"))
    place = taxing.place_of(call, params.get("customer")) if taxed else None
    lines = session_lines.read(call, trial=trial is not None) if mode != "setup" else []
    if lines:
        customer = params.get("customer")
        lines = reckoning.reckoned(call, lines, sources, customer=customer, place=place)
    body = shapes.session(call.now, _fields(call, lines))
    body["discounts"] = reckoning.shown(call, sources, params.get("customer"))
    status = "complete" if place else "requires_location_inputs"
    body["automatic_tax"] |= {"enabled": taxed, "status": status if taxed else None}
    body["url"] = f"{call.base_url}/c/pay/{body['id']}"
    data = params.get("subscription_data", {})
    notes = {
        "clock": call.clock,
        "customer_update": only(params.get("customer_update", {}), "customer_update", "address", "name"),
        "discount_sources": sources,
        "line_items": lines,
        "payment_intent_data": params.get("payment_intent_data", {}),
        "setup_intent_data": params.get("setup_intent_data", {}),
        "subscription_data": data | {"trial_end": trial},
    }
    return call.add(body, private=notes)


@endpoint("GET", "/v1/checkout/sessions", *LIST, "customer", "payment_intent", "subscription", "status")
def list_all(call: Call) -> Json:
    """List sessions by customer, payment intent or status."""
    where: list[Where] = lists.matching(call, "customer", "payment_intent", "subscription", "status")
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
    needed = ("mode", "success_url", *(() if params.get("mode") == "setup" else ("line_items",)))
    for name in needed:
        if not params.get(name):
            message = f"Missing required param: {name}."
            raise ApiError(message, code="parameter_missing", param=name)
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise unsupported("ui_mode")
    if params.get("phone_number_collection", {}).get("enabled"):
        raise unsupported("phone_number_collection[enabled]")
    _check_mode(call)
    if len(params.get("line_items", [])) > _MOST_LINES:
        message = f"Invalid array: line_items can have at most {_MOST_LINES} entries."
        raise ApiError(message, param="line_items")
    invoice = only(params.get("invoice_creation", {}), "invoice_creation", *_INVOICE)
    only(invoice.get("invoice_data", {}), "invoice_creation[invoice_data]", *_INVOICE_DATA)
    only(params.get("payment_intent_data", {}), "payment_intent_data", *_INTENT_DATA)
    only(params.get("setup_intent_data", {}), "setup_intent_data", *_SETUP_DATA)
    only(params.get("subscription_data", {}), "subscription_data", *_SUBSCRIPTION_DATA)
    _check_urls_and_expiry(call)
    _check_customer(call)
    _check_tax(call)


def _check_mode(call: Call) -> None:
    """Refuse what belongs to another mode."""
    params = call.params
    mode = params["mode"]
    places = {
        "payment_intent_data": "payment",
        "invoice_creation": "payment",
        "subscription_data": "subscription",
        "setup_intent_data": "setup",
    }
    for name, home in places.items():
        if name in params and mode != home:
            message = f"You can not pass `{name}` in `{mode}` mode."
            raise ApiError(message, param=name)
    if mode == "setup" and "line_items" in params:
        message = "You can not pass `line_items` in `setup` mode."
        raise ApiError(message, param="line_items")
    if params.get("discounts") and params.get("allow_promotion_codes"):
        message = "You may only specify one of these parameters: allow_promotion_codes, discounts."
        raise ApiError(message, param="allow_promotion_codes")


def _trial_end(call: Call) -> int | None:
    if call.params["mode"] != "subscription":
        return None
    return terms.trial_end(call, call.params.get("subscription_data", {}), [])


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


def _check_tax(call: Call) -> None:
    """Refuse tax that cannot be reckoned: not set up, or for a customer of whom nobody will know where they live."""
    params = call.params
    if not params.get("automatic_tax", {}).get("enabled"):
        return
    taxing.need_set_up(call)
    asks = params.get("customer_update", {}).get("address") == "auto"
    if "customer" in params and not asks and taxing.place_of(call, params["customer"]) is None:
        message = (
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to "
            "the Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' "
            "to save the address entered in Checkout to the Customer."
        )
        raise ApiError(message, code="customer_tax_location_invalid", param="automatic_tax")


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


def _fields(call: Call, lines: list[Json]) -> Json:
    params = call.params
    mode = params["mode"]
    currency = lines[0]["currency"] if lines else params.get("currency")
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
    nothing = {"amount_subtotal": None, "amount_total": None, "total_details": None}
    fields |= reckoning.sums(lines) if lines else nothing
    fields |= {
        "currency": currency,
        "expires_at": params.get("expires_at", call.now + _DAY),
        "metadata": changes.metadata(params.get("metadata")),
        "mode": mode,
        "payment_method_types": params.get(
            older.METHOD_TYPES, ["card", payment.bank_scheme(currency or "usd")]
        ),
        "payment_method_collection": params.get(
            "payment_method_collection", "always" if mode == "subscription" else "if_required"
        ),
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
    }
    if mode == "payment":
        fields["invoice_creation"] = shapes.invoice_creation(params.get("invoice_creation"))
    if "customer" not in params:
        always = "always" if mode != "payment" else "if_required"
        fields["customer_creation"] = params.get("customer_creation", always)
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
