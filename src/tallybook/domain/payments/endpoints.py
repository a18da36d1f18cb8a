"""Webhook endpoints at Stripe: what ours must be like, how to come to have one, what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from tallybook.domain.errors import InvalidRequestError
from tallybook.domain.payments.handled import HANDLED_TYPES
from tallybook.domain.payments.reports import EndpointReport

INTAKE_URLS = {
    "stripe": "/api/stripe/webhook",
    "credits": "/api/credits/webhook",
    "v1": "/api/v1/webhooks/stripe",
}
"""The intake paths, and where each is reached: documents 001 and 003, 002, 004."""

ALL_TYPES = "*"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def subscribed_types() -> frozenset[str]:
    """The types of events that an endpoint of ours is to send."""
    return HANDLED_TYPES


class Step(StrEnum):
    """What registering does at Stripe. Of an existing endpoint the version cannot be changed, so it gets a sister."""

    KEEP = "keep"
    UPDATE = "update"
    CREATE = "create"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to have one endpoint at a URL that sends what we want; ``leftovers`` are others at the same URL."""

    step: Step
    endpoint_id: str | None
    why: tuple[str, ...]
    leftovers: tuple[str, ...]


class EndpointFault(StrEnum):
    """What is wrong with an endpoint; the values are codes of ``doctor``."""

    WRONG_PATH = "endpoint_wrong_path"
    DISABLED = "endpoint_disabled"
    OTHER_VERSION = "endpoint_other_version"
    MISSES_EVENTS = "endpoint_misses_events"
    MORE_EVENTS = "endpoint_more_events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint at Stripe, whether it is one of ours, and what is wrong with it."""

    report: EndpointReport
    ours: bool
    faults: tuple[EndpointFault, ...]


def registrable(url: str, *, livemode: bool) -> str:
    """The URL itself, if Stripe may send events there.

    Raises:
        InvalidRequestError: says what is wrong with it.
    """
    paths = ", ".join(INTAKE_URLS.values())
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidRequestError("The URL of the webhook is not a URL.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise InvalidRequestError(
            "Give the whole URL of the webhook, such as https://example.com" + INTAKE_URLS["v1"]
        )
    if parts.path not in INTAKE_URLS.values() or parts.query or parts.fragment:
        raise InvalidRequestError(f"The webhook's path must be exactly one of {paths}.")
    if parts.scheme != "https" and (livemode or parts.hostname not in _LOOPBACK):
        raise InvalidRequestError("Stripe sends events to https only.")
    return url


def plan(url: str, endpoints: Sequence[EndpointReport], *, api_version: str) -> Plan:
    """What to do so that there is one endpoint at ``url``, enabled, of our version, with exactly our types."""
    there = [endpoint for endpoint in endpoints if endpoint.url == url]
    fitting = [endpoint for endpoint in there if endpoint.api_version == api_version]
    if not fitting:
        others = tuple(endpoint.id for endpoint in there)
        because = "another version is registered there" if there else "nothing is registered there"
        return Plan(step=Step.CREATE, endpoint_id=None, why=(because,), leftovers=others)
    chosen = max(fitting, key=lambda one: (one.enabled, one.event_types == subscribed_types()))
    why = []
    if not chosen.enabled:
        why.append("it is disabled")
    if chosen.event_types != subscribed_types():
        why.append("it sends other types of events")
    return Plan(
        step=Step.UPDATE if why else Step.KEEP,
        endpoint_id=chosen.id,
        why=tuple(why),
        leftovers=tuple(endpoint.id for endpoint in there if endpoint.id != chosen.id),
    )


def judged(
    report: EndpointReport, *, addresses: frozenset[str], deployment: str | None, api_version: str
) -> Endpoint:
    """An endpoint with what is wrong with it; another program's in the same account has no faults.

    It is ours by our mark or by its host and port; who does not say where it is reached goes by the path.
    """
    parts = urlsplit(report.url)
    right_path = parts.path in INTAKE_URLS.values()
    marked = deployment is not None and report.deployment == deployment
    here = parts.netloc in addresses if addresses else right_path
    # Another installation's, in the same account, is none of our business.
    ours = marked or (here and report.deployment is None)
    faults = []
    if ours and not right_path:
        faults.append(EndpointFault.WRONG_PATH)
    if ours and not report.enabled:
        faults.append(EndpointFault.DISABLED)
    if ours and report.api_version != api_version:
        faults.append(EndpointFault.OTHER_VERSION)
    if ours and ALL_TYPES not in report.event_types and not subscribed_types() <= report.event_types:
        faults.append(EndpointFault.MISSES_EVENTS)
    elif ours and report.event_types != subscribed_types():
        faults.append(EndpointFault.MORE_EVENTS)
    return Endpoint(report=report, ours=ours, faults=tuple(faults))
