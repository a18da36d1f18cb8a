"""``/v1/invoices``: drafts by hand, the steps of an invoice's life, and previews.

Leaves the steps themselves to ``billing.invoices`` and ``billing.collect``.
"""

from stripe_sandbox.api import changes, invoice_items, lists, payment_methods, subscriptions, terms
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.billing import bills, collect, discounts, invoices, lines, renewing, standing, totals
from stripe_sandbox.billing import subscriptions as beginning
from stripe_sandbox.billing.changing import change
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, only, unsupported
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import field_is

_URL = "/v1/invoices"
_PLAIN = ("auto_advance", "default_payment_method", "description", "due_date", "footer", "custom_fields")
_TAKES = (*_PLAIN, "metadata", "collection_method", "days_until_due", "automatic_tax", "discounts")
_DETAILS = (
    "items",
    "proration_behavior",
    "proration_date",
    "trial_end",
    "cancel_now",
    "cancel_at_period_end",
    "billing_cycle_anchor",
)


@endpoint("POST", _URL, *_TAKES, "customer", "currency", "pending_invoice_items_behavior", "subscription")
def create(call: Call) -> Json:
    """Create a draft, with the customer's waiting invoice items if asked for."""
    params = call.params
    if "subscription" in params:
        return _of_subscription(call)
    customer = call.need("customer", params.get("customer", ""), param="customer")
    waiting = []
    if params.get("pending_invoice_items_behavior", "exclude") == "include":
        waiting = lines.waiting_for(call, customer["id"], None)
    currency = waiting[0]["currency"] if waiting else params.get("currency", customer["currency"] or "usd")
    fields = _fields(call, {"auto_advance": False, "metadata": {}}) | {"currency": currency}
    if "discounts" in params:
        fields["discounts"] = discounts.redeem(call, terms.discount_sources(call), customer=customer["id"])
    if fields["auto_advance"]:
        fields["automatically_finalizes_at"] = invoices.finalizes_at(call)
    draft = invoices.draft(call, customer, waiting, [], fields)
    if "days_until_due" in params:
        call.store.note(draft["id"], days_until_due=params["days_until_due"])
    return draft


@endpoint("GET", _URL, *LIST, "customer", "status", "collection_method", "subscription", "due_date")
def list_all(call: Call) -> Json:
    """List invoices."""
    where = lists.matching(call, "customer", "status", "collection_method")
    if "subscription" in call.params:
        where.append(field_is("parent.subscription_details.subscription", call.params["subscription"]))
    where += lists.within(call, "due_date", "json_extract(body, '$.due_date')")
    return lists.page(call, "invoice", _URL, where)


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return an invoice."""
    return call.need("invoice", call.id)


@endpoint("POST", _URL + "/{}", *_TAKES)
def update(call: Call) -> Json:
    """Change a draft; of an invoice that is final only metadata and how it is paid."""
    before = call.need("invoice", call.id)
    final = set(call.params) - {"metadata", "expand", "auto_advance", "default_payment_method"}
    if before["status"] != "draft" and final:
        message = "Finalized invoices can't be updated in this way"
        raise ApiError(message, code="invoice_not_editable", param=min(final))
    after = before | _fields(call, before)
    if "days_until_due" in call.params:
        call.store.note(call.id, days_until_due=call.params["days_until_due"])
    if "discounts" in call.params:
        owner = {"customer": before["customer"], "invoice": before["id"]}
        after["discounts"] = discounts.redeem(call, terms.discount_sources(call), **owner)
    if before["status"] == "draft":
        after = totals.computed(call, after)
    return call.save(after, "invoice.updated", before)


@endpoint("DELETE", _URL + "/{}")
def delete(call: Call) -> Json:
    """Delete a draft."""
    found = call.need("invoice", call.id)
    if found["status"] != "draft" or found["parent"]:
        message = "You can only delete draft invoices that are not of a subscription."
        raise ApiError(message, code="invoice_not_editable")
    for item in call.store.find("invoiceitem", [field_is("invoice", call.id)]):
        call.save({"id": item["id"], "object": "invoiceitem", "deleted": True})
    stub = {"id": call.id, "object": "invoice", "deleted": True}
    call.save(stub)
    call.emit("invoice.deleted", found)
    return stub


@endpoint("GET", _URL + "/{}/lines", *LIST)
def list_lines(call: Call) -> Json:
    """List the lines of an invoice."""
    found = call.need("invoice", call.id)
    return lists.slice_of(call, found["lines"]["data"], f"{_URL}/{call.id}/lines")


@endpoint("POST", _URL + "/{}/finalize", "auto_advance")
def finalize(call: Call) -> Json:
    """Make a draft final."""
    draft = call.need("invoice", call.id)
    if "auto_advance" in call.params:
        draft = draft | {"auto_advance": call.params["auto_advance"]}
    return collect.finalize(call, draft)


@endpoint("POST", _URL + "/{}/pay", "payment_method", "paid_out_of_band", "off_session", "forgive")
def pay(call: Call) -> Json:
    """Collect an invoice now, or note that it was paid elsewhere."""
    found = call.need("invoice", call.id)
    if found["status"] == "draft":
        found = collect.finalize(call, found)
    if found["status"] not in ("open", "uncollectible"):
        message = "Invoice is already paid" if found["status"] == "paid" else f"Invoice is {found['status']}"
        raise ApiError(message, code="invoice_already_paid" if found["status"] == "paid" else None)
    if call.params.get("paid_out_of_band"):
        return collect.settled(call, found, out_of_band=True)
    method = None
    if "payment_method" in call.params:
        method = payment_methods.named(call, call.params["payment_method"], param="payment_method")
    refusal = collect.attempt(call, found, method, automatic=False)
    after = call.need("invoice", call.id)
    if refusal is not None:
        intent = invoices.intent_of(call, call.id)
        refusal.extra |= {"payment_intent": intent} if intent else {}
        raise refusal
    if after["status"] == "open" and (invoices.intent_of(call, call.id) or {})["status"] == "requires_action":
        raise _needs_buyer()
    return after


@endpoint("POST", _URL + "/{}/send")
def send(call: Call) -> Json:
    """Send an invoice to its customer, making it final first."""
    found = call.need("invoice", call.id)
    if found["collection_method"] != "send_invoice":
        message = "You can only manually send an invoice if its collection method is 'send_invoice'."
        raise ApiError(message)
    if found["status"] == "draft":
        found = collect.finalize(call, found)
    return collect.send(call, found)


@endpoint("POST", _URL + "/{}/void")
def void(call: Call) -> Json:
    """Void an open invoice."""
    return invoices.void(call, call.need("invoice", call.id))


@endpoint("POST", _URL + "/{}/mark_uncollectible")
def mark_uncollectible(call: Call) -> Json:
    """Give an open invoice up."""
    return invoices.uncollectible(call, call.need("invoice", call.id))


@endpoint(
    "POST",
    _URL + "/create_preview",
    "customer",
    "subscription",
    "subscription_details",
    "invoice_items",
    "discounts",
    "currency",
    "automatic_tax",
    "preview_mode",
)
def create_preview(call: Call) -> Json:
    """Show what would be billed: the change is really made, looked at and taken back."""
    params = call.params
    details = only(params.get("subscription_details", {}), "subscription_details", *_DETAILS)
    with call.store.rehearsal():
        if "subscription" in params:
            return _preview_of(
                call, call.need("subscription", params["subscription"], param="subscription"), details
            )
        customer = call.need("customer", params.get("customer", ""), param="customer")
        if details.get("items"):
            return _preview_new(call, customer, details)
        waiting = invoice_items.previewed(call, customer)
        fields = {"currency": (waiting or [{"currency": params.get("currency", "usd")}])[0]["currency"]}
        return renewing.as_preview(invoices.composed(call, customer, waiting, [], fields), due=call.now)


def _preview_of(call: Call, before: Json, details: Json) -> Json:
    """Preview a change of a subscription, or its next invoice as it stands."""
    if details.get("cancel_now"):
        raise unsupported("subscription_details[cancel_now]")
    invoice_items.previewed(call, call.need("customer", before["customer"]))
    after = before
    if "discounts" in call.params:
        details = details | {"discounts": call.params["discounts"]}
    if set(details) & {"discounts", "items", "trial_end", "billing_cycle_anchor", "cancel_at_period_end"}:
        after = change(call, before, subscriptions.wish_of(call, before, details))
    if after["latest_invoice"] != before["latest_invoice"]:
        made = call.need("invoice", after["latest_invoice"])
        return _unpaid(renewing.as_preview(made, due=call.now))
    return renewing.preview(call, after)


def _preview_new(call: Call, customer: Json, details: Json) -> Json:
    items = terms.wanted(call, details["items"], param="subscription_details[items]")
    wish = beginning.Terms(
        items=items,
        discounts=terms.discount_sources(call),
        trial_end=terms.trial_end(call, details, items),
        behavior="default_incomplete",
    )
    made = beginning.start(call, customer, wish)
    invoice = call.need("invoice", made["latest_invoice"])
    return _unpaid(renewing.as_preview(invoice, due=call.now))


def _unpaid(invoice: Json) -> Json:
    """Return a preview of an invoice that the rehearsal may have paid."""
    nothing = dict.fromkeys(("hosted_invoice_url", "invoice_pdf", "effective_at", "ending_balance"))
    moments = dict.fromkeys(invoice["status_transitions"])
    due = totals.due(invoice["total"], invoice["starting_balance"])
    return invoice | nothing | due | {"attempted": False, "attempt_count": 0, "status_transitions": moments}


def _of_subscription(call: Call) -> Json:
    """Bill the invoice items that wait for a subscription."""
    found = call.need("subscription", call.params["subscription"], param="subscription")
    waiting = lines.waiting_for(call, found["customer"], found["id"])
    if not waiting:
        message = "Nothing to invoice for subscription"
        raise ApiError(message, code="invoice_no_subscription_line_items", param="subscription")
    fields = bills.fields_of(call, found, "manual") | {"auto_advance": call.params.get("auto_advance", False)}
    before = found
    after, draft = bills.bill(call, found, waiting, [], fields)
    call.emit(standing.UPDATED, after, before)
    return draft


def _fields(call: Call, old: Json) -> Json:
    params = call.params
    found = {name: old[name] for name in ("auto_advance",)} | changes.fields(params, *_PLAIN)
    found["metadata"] = changes.metadata(params.get("metadata"), old["metadata"])
    if "collection_method" in params:
        found["collection_method"] = params["collection_method"]
    if "automatic_tax" in params:
        enabled = bool(params["automatic_tax"]["enabled"])
        found["automatic_tax"] = {
            "disabled_reason": None,
            "enabled": enabled,
            "liability": None,
            "provider": None,
            "status": "complete" if enabled else None,
        }
    return found


def _needs_buyer() -> ApiError:
    message = "This payment required an authentication action to complete."
    refusal = ApiError(message, status=402, code="invoice_payment_intent_requires_action", kind="card_error")
    refusal.keeps_effects = True
    return refusal
