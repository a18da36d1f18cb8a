"""Errors as Stripe sends them: a status and an ``error`` object with type, code and param.

Leaves it to ``api.dispatch`` to turn them into responses.
"""

from http import HTTPStatus

from stripe_sandbox.kinds import Json

_DOCS = "https://docs.stripe.com/error-codes#"


class ApiError(Exception):
    """A refusal that the caller sees.

    `keeps_effects` is true for answers that come after work was done (a declined card leaves a
    failed charge behind): the transaction is committed and the answer is stored under the
    idempotency key. All other refusals leave nothing behind.
    """

    keeps_effects = False

    def __init__(
        self,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        """Describe the refusal; `kind` is Stripe's ``error.type``."""
        super().__init__(message)
        self.message = message
        self.status = int(status)
        self.code = code
        self.param = param
        self.kind = kind
        self.extra: Json = {}

    def body(self) -> Json:
        """Return the JSON body, leaving out what does not apply, as Stripe does."""
        error: Json = {}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = _DOCS + self.code.replace("_", "-")
        error["message"] = self.message
        if self.param:
            error["param"] = self.param
        error.update(self.extra)
        error["type"] = self.kind
        return {"error": error}


class CardError(ApiError):
    """A payment that was tried and refused: 402, and the failed attempt stays on record."""

    keeps_effects = True

    def __init__(
        self, message: str, *, code: str, decline_code: str | None = None, param: str | None = None
    ) -> None:
        """Describe the decline with Stripe's code and, for issuer refusals, decline code."""
        super().__init__(
            message,
            status=HTTPStatus.PAYMENT_REQUIRED,
            code=code,
            param=param,
            kind="card_error",
        )
        self.decline_code = decline_code
        if decline_code:
            self.extra["decline_code"] = decline_code


def missing(noun: str, wanted: str, *, param: str = "id") -> ApiError:
    """Return the refusal for an unknown id: 404 in the path, 400 in a parameter."""
    in_path = param == "id"
    return ApiError(
        f"No such {noun}: '{wanted}'",
        status=HTTPStatus.NOT_FOUND if in_path else HTTPStatus.BAD_REQUEST,
        code="resource_missing",
        param=param,
    )


def only(given: Json, param: str, *names: str) -> Json:
    """Return a nested parameter, refusing the first key that is not in `names`."""
    left_over = sorted(set(given) - set(names))
    if left_over:
        raise unsupported(f"{param}[{left_over[0]}]")
    return given


def unsupported(param: str) -> ApiError:
    """Return the refusal for what Stripe offers and the sandbox does not (yet).

    Ignoring such a parameter would let a test pass on behaviour that never happened.
    """
    return ApiError(
        f"The sandbox does not support `{param}` yet.",
        code="sandbox_unsupported",
        param=param,
    )
