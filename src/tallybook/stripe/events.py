"""Proof that a webhook came from Stripe: signature and time stamp over the raw bytes, then its head is read.

Written against https://docs.stripe.com/webhooks#verify-manually rather than taken from the SDK, whose check accepts
time stamps of the future and can be switched off by a tolerance of zero.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

from tallybook.domain.errors import (
    WebhookPayloadError,
    WebhookSecretMissingError,
    WebhookSignatureError,
)
from tallybook.domain.payments.reports import ReceivedEvent
from tallybook.stripe.readings import id_of, moment

TOLERANCE_SECONDS = 300
"""How far a time stamp may be from now, either way."""

_STAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_SIGNATURES_MAX = 16
_ID = re.compile(r"evt_[A-Za-z0-9_]{1,250}")
_TYPE = re.compile(r"[a-z0-9_.]{1,100}")


def verify(raw: bytes, header: str | None, secrets: Sequence[str], now: datetime) -> ReceivedEvent:
    """The event in ``raw``, if any of ``secrets`` signed it no more than 300 s from ``now``; it names which did.

    Raises:
        WebhookSecretMissingError: no secret is set, so nothing can be believed.
        WebhookSignatureError: the header is missing or malformed, its time is off, or no signature matches.
        WebhookPayloadError: it is signed, but not an event that we can read.
    """
    if not any(secrets):
        raise WebhookSecretMissingError
    if not header:
        raise WebhookSignatureError("The Stripe-Signature header is missing.")
    stamp, signatures = _parts(header)
    if abs(int(stamp) - int(now.timestamp())) > TOLERANCE_SECONDS:
        raise WebhookSignatureError(
            "The signature's time stamp is more than 300 seconds away: check both clocks."
        )
    signed_by = _signers(raw, stamp, signatures, secrets)
    if not signed_by:
        raise WebhookSignatureError
    return _read(raw, signed_by)


def _parts(header: str) -> tuple[str, list[str]]:
    stamps: list[str] = []
    signatures: list[str] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamps.append(value)
        elif name == "v1":
            signatures.append(value)
    if len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]):
        raise WebhookSignatureError("The Stripe-Signature header has no time stamp.")
    well_formed = [text for text in signatures if _SIGNATURE.fullmatch(text)]
    if not well_formed or len(signatures) > _SIGNATURES_MAX:
        raise WebhookSignatureError("The Stripe-Signature header has no v1 signature.")
    return stamps[0], well_formed


def _signers(raw: bytes, stamp: str, signatures: Sequence[str], secrets: Sequence[str]) -> tuple[int, ...]:
    signers = []
    for place, secret in enumerate(secrets):
        wanted = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
        good = False
        for given in signatures:
            # No early end: how long it takes tells nothing about which secret or signature came close.
            good |= hmac.compare_digest(wanted, given)
        # An empty secret would let anybody sign.
        if good and secret:
            signers.append(place)
    return tuple(signers)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _read(raw: bytes, signed_by: tuple[int, ...]) -> ReceivedEvent:
    try:
        body: Any = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise WebhookPayloadError("The payload is not JSON.") from None
    if not isinstance(body, dict) or body.get("object") != "event":
        raise WebhookPayloadError("The payload is not a snapshot event: thin events are not taken.")
    data = body.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise WebhookPayloadError("The event has no data.object.")
    event_id, kind, created = body.get("id"), body.get("type"), body.get("created")
    if not isinstance(event_id, str) or not _ID.fullmatch(event_id):
        raise WebhookPayloadError("The event has no id.")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise WebhookPayloadError("The event has no type.")
    if isinstance(created, bool) or not isinstance(created, int) or not 0 <= created < 10**11:
        raise WebhookPayloadError("The event has no time of creation.")
    if not isinstance(body.get("livemode"), bool):
        raise WebhookPayloadError("The event does not say livemode.")
    return ReceivedEvent(
        event_id=event_id,
        type=kind,
        api_version=_text(body.get("api_version")),
        livemode=body["livemode"],
        account_id=_text(body.get("account")),
        object_id=_text(subject.get("id")),
        customer_id=_text(id_of(subject.get("customer"))),
        created=moment(created),
        raw=raw,
        signed_by=signed_by,
    )


def _text(value: object) -> str | None:
    # PostgreSQL's text takes no NUL; such an id is none of Stripe's.
    return value if isinstance(value, str) and "\x00" not in value and len(value) <= 255 else None
