"""Resume tokens: a refused request may be made once more under a key of its own, by whoever made it, unchanged.

``tbj_<generation>_<nonce>_<code>``. Nothing of it is stored: the code covers the wallet, the app, the key and the
terms, so that only the same request fits. The ledger keeps a refusal under its key for ever, so the request goes on
under a key that follows from the token: the same for each try, so that a job that is resumed often acts once. Refused
again, it gets the token of the next generation, which nobody could have had before.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from dataclasses import dataclass, fields, replace
from typing import Any

from tallybook.domain.errors import ResumeTokenInvalidError
from tallybook.domain.identity.callers import KEY_SEPARATOR
from tallybook.domain.ledger.requests import Posting
from tallybook.security.sealing import Sealer

# The nonce stands for the key of a request that had none, so that such a job, too, acts once however often resumed.
_FORM = re.compile(r"tbj_([1-9][0-9]{0,5})_([0-9a-f]{32})?_([0-9a-f]{64})")
_NONCE_BYTES = 16
_TERMS = tuple(field.name for field in fields(Posting) if field.name not in {"wallet_id", "app_id", "key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work: the request as it was asked, and ``posting``, which has the key that it goes under now.

    ``generation`` counts how often it went on after a refusal.
    """

    asked: Posting
    posting: Posting
    generation: int = 0
    nonce: str = ""


def job_of(sealer: Sealer, asked: Posting, token: str | None) -> Job:
    """The job that a request begins, or goes on with when it brings a token.

    Raises:
        ResumeTokenInvalidError: not our token, or one for another wallet, app, key or other terms.
    """
    if token is None:
        return Job(asked=asked, posting=asked)
    found = _FORM.fullmatch(token)
    if found is None:
        raise ResumeTokenInvalidError
    generation, nonce = int(found[1]), found[2] or ""
    keyed = asked.key is not None
    if keyed == bool(nonce) or not hmac.compare_digest(found[3], _code(sealer, asked, generation, nonce)):
        raise ResumeTokenInvalidError
    # No caller can send the separator, so nobody else can take this key; what follows the last one is shown as the key.
    key = f"resumed:{generation}{KEY_SEPARATOR}{asked.key or nonce}"
    return Job(asked=asked, posting=replace(asked, key=key), generation=generation, nonce=nonce)


def token_after(sealer: Sealer, job: Job) -> str:
    """The token with which a job that was refused goes on."""
    generation = job.generation + 1
    nonce = job.nonce or ("" if job.asked.key is not None else secrets.token_hex(_NONCE_BYTES))
    return f"tbj_{generation}_{nonce}_{_code(sealer, job.asked, generation, nonce)}"


def _code(sealer: Sealer, asked: Posting, generation: int, nonce: str) -> str:
    place = (asked.wallet_id, asked.app_id, nonce or asked.key or "")
    return sealer.mac(
        "resume token", *place, generation, nonce, json.dumps(_terms(asked), sort_keys=True)
    ).hex()


def _terms(asked: Posting) -> dict[str, Any]:
    # As in the ledger: what is not asked for is left out, so that a token still fits when Posting grows a field.
    return {name: _plain(value) for name in _TERMS if (value := getattr(asked, name)) is not None}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | dict) else str(value)
