"""Turns an HTTP request for ``/v1/…`` into a handler's work and back.

Order, as at Stripe: key and version, decoding, the idempotency key, parameters, then the work
in one transaction together with its events and its kept answer. Leaves meaning to the handlers.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from stripe_sandbox import clocks, expand, forms, spec, versions
from stripe_sandbox.api import access, older, routes
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError, unsupported
from stripe_sandbox.faults import TIME_OUT, ApiFault
from stripe_sandbox.idempotency import Kept, fingerprint
from stripe_sandbox.ids import new_id
from stripe_sandbox.kinds import API_VERSION, Json
from stripe_sandbox.sandbox import Sandbox

_LOG = logging.getLogger(__name__)
_LARGEST_BODY = 1_000_000

_OWN_PARAMS = {"/v1/payment_pages/{}/confirm", "/v1/payment_pages/{}"}
"""Endpoints that the published types do not name; their handlers check for themselves."""


@dataclass(frozen=True)
class _Asked:
    """A decoded request."""

    method: str
    path: str
    form: Json
    key: str | None
    request_id: str
    base_url: str
    version: str
    named_version: str | None


class _NeverSent(Response):
    """An answer that never comes: the caller waits until it hangs up, or the line is cut after a time."""

    def __init__(self, request: Request, seconds: float) -> None:
        super().__init__()
        self._request, self._seconds = request, seconds

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Wait, then begin an answer and leave it unfinished, which makes the server cut the line."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                while (await self._request.receive())["type"] != "http.disconnect":
                    continue
        headers = [(b"content-length", b"1")]
        await send({"type": "http.response.start", "status": int(HTTPStatus.OK), "headers": headers})


async def answer(request: Request) -> Response:
    """Answer one API request."""
    sandbox: Sandbox = request.app.state.sandbox
    request_id = new_id("req", 14)
    replayed = False
    key: str | None = None
    version = API_VERSION
    fault: ApiFault | None = None
    try:
        access.check_key(request)
        fault = sandbox.faults.of_request(request.method, request.url.path)
        if fault and (struck := fault.refusal()):
            raise struck
        version = access.version_of(request)
        asked = await _decoded(request, request_id)
        key = asked.key
        kept = sandbox.keys.recall(key, _print(asked), sandbox.now) if key else None
        replayed = kept is not None
        result = kept if kept is not None else await _execute(sandbox, asked)
    except ApiError as refusal:
        result = Kept(refusal.status, refusal.body(), request_id)
    if fault and fault.kind == TIME_OUT:
        return _NeverSent(request, fault.seconds)
    headers = {"Request-Id": request_id, "Stripe-Version": version}
    if key:
        headers["Idempotency-Key"] = key
    if replayed:
        headers |= {"Idempotent-Replayed": "true", "Original-Request": result.request_id}
    response = JSONResponse(result.body, status_code=result.status, headers=headers)
    sandbox.journal.answered(
        request.method,
        request.url.path,
        version=version,
        status=result.status,
        request_id=request_id,
        body=bytes(response.body),
    )
    return response


def _print(asked: _Asked) -> str:
    return fingerprint(asked.method, asked.path, asked.form)


async def _decoded(request: Request, request_id: str) -> _Asked:
    method = request.method
    body = await request.body()
    if len(body) > _LARGEST_BODY:
        message = "The request is too large."
        raise ApiError(message, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    kind = request.headers.get("content-type", "")
    if body and not kind.startswith("application/x-www-form-urlencoded"):
        message = (
            "Invalid request: the content type must be application/x-www-form-urlencoded, not "
            f"{kind[:60] or 'missing'}."
        )
        raise ApiError(message)
    try:
        text = body.decode()
    except UnicodeDecodeError as problem:
        message = "Invalid request: the body is not UTF-8."
        raise ApiError(message) from problem
    query = request.url.query
    form = forms.decode("&".join(part for part in (query, text) if part))
    return _Asked(
        method=method,
        path=request.url.path,
        form=form,
        key=request.headers.get("idempotency-key") if method == "POST" else None,
        request_id=request_id,
        base_url=str(request.base_url).rstrip("/"),
        version=access.version_of(request),
        named_version=request.headers.get("stripe-version"),
    )


async def _execute(sandbox: Sandbox, asked: _Asked) -> Kept:
    handler, call = _prepared(sandbox, asked)
    if asked.key:
        sandbox.keys.in_use.add(asked.key)
    try:
        if sandbox.latency and asked.method != "GET":
            await asyncio.sleep(sandbox.latency)
        sandbox.catch_up()
        return _worked(sandbox, asked, handler, clocks.of_request(replace(call, now=sandbox.now)))
    finally:
        if asked.key:
            sandbox.keys.in_use.discard(asked.key)


def _prepared(sandbox: Sandbox, asked: _Asked) -> tuple[routes.Handler, Call]:
    """Find the handler and check the parameters against the published types."""
    published = spec.match(asked.method, asked.path)
    found = routes.find(asked.method, asked.path)
    if found is None:
        what = "Unrecognized request URL" if published is None else "The sandbox does not implement this yet"
        message = f"{what} ({asked.method}: {asked.path})."
        raise ApiError(message, status=HTTPStatus.NOT_FOUND)
    row, ids = found
    params = asked.form
    if row.template not in _OWN_PARAMS:
        assert published is not None, row.template
        form, taken_back = older.parted(asked.path, asked.form, asked.named_version)
        try:
            params = spec.coerce(published, form) | taken_back
        except spec.ParamError as problem:
            raise ApiError(problem.message, code=problem.code, param=problem.param) from problem
    left_over = sorted(set(params) - row.takes)
    if left_over:
        raise unsupported(left_over[0])
    call = sandbox.call(
        asked.base_url,
        params=params,
        ids=ids,
        request_id=asked.request_id,
        idempotency_key=asked.key,
    )
    return row.handler, call


def _worked(sandbox: Sandbox, asked: _Asked, handler: routes.Handler, call: Call) -> Kept:
    """Run the handler; what it did, its events and the kept answer commit together."""
    try:
        with sandbox.store.transaction():
            result = _attempted(asked, handler, call)
            _keep(sandbox, asked, result)
    except ApiError:
        raise
    except Exception:  # noqa: BLE001 - the outermost frame of a call: logged, answered as 500
        _LOG.exception("request %s failed: %s %s", asked.request_id, asked.method, asked.path)
        body = {"error": {"message": "The sandbox failed; see its log.", "type": "api_error"}}
        result = Kept(int(HTTPStatus.INTERNAL_SERVER_ERROR), body, asked.request_id)
        with sandbox.store.transaction():
            _keep(sandbox, asked, result)
    sandbox.wake()
    return result


def _attempted(asked: _Asked, handler: routes.Handler, call: Call) -> Kept:
    try:
        body = handler(call)
        body = expand.expanded(call, body, call.params.get("expand", []))
        body = versions.rendered(call, body, asked.version)
    except ApiError as refusal:
        if not refusal.keeps_effects:
            raise
        return Kept(refusal.status, refusal.body(), asked.request_id)
    return Kept(int(HTTPStatus.OK), body, asked.request_id)


def _keep(sandbox: Sandbox, asked: _Asked, result: Kept) -> None:
    if asked.key:
        sandbox.keys.keep(asked.key, _print(asked), result, sandbox.now)
