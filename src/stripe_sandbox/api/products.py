"""``/v1/products``. Leaves prices to ``prices``, except the default price made with a product."""

from http import HTTPStatus

from stripe_sandbox.api import changes, lists, prices
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, missing
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import catalog
from stripe_sandbox.store import Where, field_is

_PLAIN = ("description", "statement_descriptor", "tax_code", "unit_label", "url")
_TAKES = (*_PLAIN, "name", "active", "images", "marketing_features", "metadata", "shippable")


@endpoint("POST", "/v1/products", *_TAKES, "id", "type", "default_price_data")
def create(call: Call) -> Json:
    """Create a product, with an id of the caller's choice if one is given."""
    chosen = call.params.get("id")
    if chosen and call.store.get(chosen) is not None:
        message = f"Product already exists with id: {chosen}"
        raise ApiError(message, code="resource_already_exists", param="id")
    fields = {"name": call.params["name"], "type": call.params.get("type", "service")}
    if chosen:
        fields["id"] = chosen
    body = _filled(call, catalog.product(call.now, fields))
    call.add(body, "product.created")
    if "default_price_data" in call.params:
        price = prices.new(call, body["id"], call.params["default_price_data"])
        body["default_price"] = price["id"]
        call.save(body)
    return body


@endpoint("GET", "/v1/products", *LIST, "active", "ids", "shippable", "type", "url")
def list_all(call: Call) -> Json:
    """List products."""
    where: list[Where] = lists.matching(call, "active", "shippable", "type", "url")
    if "ids" in call.params:
        where.append(field_is("id", *call.params["ids"]))
    return lists.page(call, "product", "/v1/products", where)


@endpoint("GET", "/v1/products/{}")
def retrieve(call: Call) -> Json:
    """Return a product; a deleted one as its stub."""
    found = call.store.get(call.id, "product")
    if found is None:
        raise missing("product", call.id)
    return found


@endpoint("POST", "/v1/products/{}", *_TAKES, "default_price")
def update(call: Call) -> Json:
    """Change a product."""
    before = call.need("product", call.id)
    body = _filled(call, before) | {"updated": call.now}
    if "default_price" in call.params:
        price = call.need("price", call.params["default_price"], param="default_price")
        body["default_price"] = price["id"]
    return call.save(body, "product.updated", before)


@endpoint("DELETE", "/v1/products/{}")
def delete(call: Call) -> Json:
    """Delete a product that has no prices."""
    before = call.need("product", call.id)
    if call.store.find("price", [field_is("product", call.id)], limit=1):
        message = "This product cannot be deleted because it has one or more user-created prices."
        raise ApiError(message, status=HTTPStatus.BAD_REQUEST)
    stub = {"id": call.id, "object": "product", "deleted": True}
    call.save(stub)
    call.emit("product.deleted", before)
    return stub


def _filled(call: Call, old: Json) -> Json:
    params = call.params
    body = old | changes.fields(params, *_PLAIN)
    for name in ("name", "active", "shippable"):
        if name in params:
            body[name] = params[name]
    for name in ("images", "marketing_features"):
        if name in params:
            body[name] = params[name] or []
    body["metadata"] = changes.metadata(params.get("metadata"), old["metadata"])
    return body
