"""Commands that do what a buyer or a bank does: pay a session, end 3-D Secure, settle a delayed payment."""

from starlette.requests import Request
from starlette.routing import Route

from stripe_sandbox import buyer, cards, checkout
from stripe_sandbox.billing import invoices
from stripe_sandbox.call import Call
from stripe_sandbox.control.kit import post, work
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json


def routes() -> list[Route]:
    """Return the routes of these commands."""
    return [
        post("checkout/sessions/{id}/pay", pay),
        post("checkout/sessions/{id}/settle", settle),
        post("invoices/{id}/settle", settle),
        post("payment_intents/{id}/settle", settle),
        post("checkout/sessions/{id}/authenticate", authenticate),
        post("invoices/{id}/authenticate", authenticate),
        post("payment_intents/{id}/authenticate", authenticate),
        post("setup_intents/{id}/authenticate", authenticate),
        post("payment_methods/{id}/becomes", becomes),
    ]


async def pay(request: Request, given: Json) -> Json:
    """Pay a session as a buyer would; ``card`` or ``method: bank``, ``authenticate``, ``promotion_code``."""
    with work(request) as call:
        session = call.need("checkout.session", request.path_params["id"])
        checkout.need_open(call, session)
        if "promotion_code" in given:
            session = checkout.apply_code(call, session, str(given["promotion_code"]))
        who = buyer.buyer_of(call, session, {"email": "buyer@example.com"} | _typed(given))
        method = buyer.method_of(call, session, who, _typed(given))
        result = checkout.pay(call, session, method, who)
        if result.outcome == "requires_action" and "authenticate" in given:
            assert result.next_url is not None
            intent = call.store.get(result.next_url.rpartition("/")[2])
            assert intent is not None
            passed = given["authenticate"] in (True, "complete")
            ended = checkout.authenticate(call, intent, passed=passed)
            assert ended is not None
            result = ended
    answer: Json = {"outcome": result.outcome, "session": result.session, "url": result.next_url}
    if result.error is not None:
        answer |= result.error.body()
    return answer


async def settle(request: Request, given: Json) -> Json:
    """End a delayed payment: ``outcome`` is ``succeed`` or ``fail``."""
    outcome = given.get("outcome", "succeed")
    if outcome not in ("succeed", "fail"):
        message = "outcome must be succeed or fail."
        raise ApiError(message, param="outcome")
    with work(request) as call:
        intent = _intent(call, request.path_params["id"])
        return checkout.settle(call, intent, paid=outcome == "succeed")


async def authenticate(request: Request, given: Json) -> Json:
    """End a 3-D Secure step: ``outcome`` is ``complete`` or ``fail``."""
    with work(request) as call:
        intent = _intent(call, request.path_params["id"])
        if intent["status"] != "requires_action":
            message = f"The payment is {intent['status']} and needs no authentication."
            raise ApiError(message)
        passed = given.get("outcome", "complete") == "complete"
        checkout.authenticate(call, intent, passed=passed)
        return call.need(intent["object"], intent["id"])


async def becomes(request: Request, given: Json) -> Json:
    """Let a saved card behave as another test ``card`` from now on: lost, expired, wanting 3-D Secure."""
    card = cards.by_number(str(given.get("card", "")))
    with work(request) as call:
        method = call.need("payment_method", request.path_params["id"])
        call.store.note(method["id"], number=card.number)
        return method


def _typed(given: Json) -> dict[str, str]:
    """Translate the command's words into the names of the form's inputs."""
    names = {
        "email": "email",
        "name": "billingName",
        "postal_code": "billingPostalCode",
        "country": "billingCountry",
    }
    typed = {form: str(given[word]) for word, form in names.items() if word in given}
    number = str(given.get("card", "4242424242424242"))
    return {
        "billingName": "Test Buyer",
        "billingPostalCode": "12345",
        "cardNumber": number,
        "cardExpiry": str(given.get("expiry", "12 / 34")),
        "cardCvc": str(given.get("cvc", "1234" if number.startswith("37") else "123")),
        "method": str(given.get("method", "card")),
    } | typed


def _intent(call: Call, object_id: str) -> Json:
    """Return the intent, named itself or through its session or invoice."""
    if object_id.startswith("seti_"):
        return call.need("setup_intent", object_id)
    if object_id.startswith("cs_"):
        session = call.need("checkout.session", object_id)
        invoice_id, intent_id = session["invoice"], session["payment_intent"]
    else:
        invoice_id, intent_id = (object_id, None) if object_id.startswith("in_") else (None, object_id)
    if invoice_id and intent_id is None:
        intent = invoices.intent_of(call, invoice_id)
        intent_id = intent["id"] if intent else None
    if intent_id is None:
        message = "There is no payment."
        raise ApiError(message)
    return call.need("payment_intent", intent_id)
