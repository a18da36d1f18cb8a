"""``/v1/disputes``. Leaves what happens to ``disputing``; opening one is the desk's or a test card's part."""

from stripe_sandbox import disputing
from stripe_sandbox.api import changes, lists
from stripe_sandbox.api.routes import LIST, endpoint
from stripe_sandbox.call import Call
from stripe_sandbox.errors import only
from stripe_sandbox.kinds import Json

_URL = "/v1/disputes"


@endpoint("GET", _URL, *LIST, "charge", "payment_intent")
def list_all(call: Call) -> Json:
    """List disputes."""
    return lists.page(call, "dispute", _URL, lists.matching(call, "charge", "payment_intent"))


@endpoint("GET", _URL + "/{}")
def retrieve(call: Call) -> Json:
    """Return a dispute."""
    return call.need("dispute", call.id)


@endpoint("POST", _URL + "/{}", "evidence", "metadata", "submit")
def update(call: Call) -> Json:
    """Add evidence, and hand it in unless ``submit`` is false."""
    before = call.need("dispute", call.id)
    after = before | {"metadata": changes.metadata(call.params.get("metadata"), before["metadata"])}
    if "evidence" not in call.params:
        return call.save(after, "charge.dispute.updated", before)
    known = [name for name in before["evidence"] if name != "enhanced_evidence"]
    given = only(call.params["evidence"] or {}, "evidence", *known)
    evidence = {name: value or None for name, value in given.items()}
    return disputing.answer(call, after, evidence, submit=call.params.get("submit", True))


@endpoint("POST", _URL + "/{}/close")
def close(call: Call) -> Json:
    """Accept a dispute as lost; an inquiry took no money and ends as a warning."""
    dispute = call.need("dispute", call.id)
    warns = dispute["status"].startswith("warning")
    return disputing.end(call, dispute, "warning_closed" if warns else "lost")
