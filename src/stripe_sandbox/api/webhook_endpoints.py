"""``/v1/webhook_endpoints``. The signing secret is shown once, when the endpoint is made.

Leaves sending to ``delivery``.
"""

from stripe_sandbox import versions
from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import Json

_MOST = 16
"""Endpoints that one account may have in live mode and in test mode."""


@endpoint(
    "POST",
    "/v1/webhook_endpoints",
    "url",
    "enabled_events",
    "api_version",
    "description",
    "metadata",
)
def create(call: Call) -> Json:
    """Create an endpoint and show its secret, this once."""
    if len(call.store.find("webhook_endpoint")) >= _MOST:
        message = f"You have reached the maximum of {_MOST} webhook endpoints."
        raise ApiError(message)
    return create_with(call, new_id("whsec", 32))


def create_with(call: Call, secret: str) -> Json:
    """Create an endpoint whose secret is `secret`, beyond the limit if need be."""
    params = call.params
    version = params.get("api_version")
    if version not in (None, *versions.SERVED):
        message = f"The sandbox sends events of these versions: {', '.join(versions.SERVED)}."
        raise ApiError(message, code="sandbox_unsupported", param="api_version")
    body: Json = {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": version,
        "application": None,
        "created": call.now,
        "description": params.get("description") or None,
        "enabled_events": _events(params["enabled_events"]),
        "livemode": False,
        "metadata": changes.metadata(params.get("metadata")),
        "status": "enabled",
        "url": _url(params["url"]),
    }
    call.add(body, private={"secret": secret})
    return body | {"secret": secret}


@endpoint("GET", "/v1/webhook_endpoints", *LIST)
def list_all(call: Call) -> Json:
    """List endpoints, without secrets."""
    return lists.page(call, "webhook_endpoint", "/v1/webhook_endpoints")


@endpoint("GET", "/v1/webhook_endpoints/{}")
def retrieve(call: Call) -> Json:
    """Return an endpoint, without its secret."""
    return call.need("webhook_endpoint", call.id)


@endpoint(
    "POST",
    "/v1/webhook_endpoints/{}",
    "url",
    "enabled_events",
    "description",
    "disabled",
    "metadata",
)
def update(call: Call) -> Json:
    """Change an endpoint, or switch it off and on."""
    before = call.need("webhook_endpoint", call.id)
    params = call.params
    body = before | changes.fields(params, "description")
    if "url" in params:
        body["url"] = _url(params["url"])
    if "enabled_events" in params:
        body["enabled_events"] = _events(params["enabled_events"])
    if "disabled" in params:
        body["status"] = "disabled" if params["disabled"] else "enabled"
    body["metadata"] = changes.metadata(params.get("metadata"), before["metadata"])
    return call.save(body)


@endpoint("DELETE", "/v1/webhook_endpoints/{}")
def delete(call: Call) -> Json:
    """Delete an endpoint and drop what was still to be sent to it."""
    call.need("webhook_endpoint", call.id)
    stub = {"id": call.id, "object": "webhook_endpoint", "deleted": True}
    call.save(stub)
    call.store.note(call.id, secret="")
    call.store.db.execute(
        "UPDATE deliveries SET status = 'dropped' WHERE endpoint = ? AND status = 'pending'",
        (call.id,),
    )
    return stub


def _url(given: str) -> str:
    if not given.startswith(("http://", "https://")):
        message = "Invalid URL: An explicit scheme (such as https) must be provided."
        raise ApiError(message, code="url_invalid", param="url")
    return given


def _events(given: list[str]) -> list[str]:
    if not given:
        message = "You must enable at least one event."
        raise ApiError(message, code="parameter_invalid_empty", param="enabled_events")
    return list(given)
