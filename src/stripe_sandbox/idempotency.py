"""Idempotency keys as Stripe documents them (docs.stripe.com/idempotency).

The first answer under a key is kept for a day and repeated, 500s and declines included; other
parameters under the same key are refused; a key in use is refused. Refusals before any work
(validation, conflicts) are not kept. Leaves the HTTP side to ``api.dispatch``.
"""

import hashlib
import json
from dataclasses import dataclass, field
from http import HTTPStatus

from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import Store

LONGEST_KEY = 255
KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Kept:
    """A first answer that is repeated."""

    status: int
    body: Json
    request_id: str


@dataclass
class Keys:
    """The keys of one sandbox: stored answers, and those being worked on right now."""

    store: Store
    in_use: set[str] = field(default_factory=set)

    def recall(self, key: str, fingerprint: str, now: int) -> Kept | None:
        """Return the kept answer; raises `ApiError` on reuse with other parameters."""
        if len(key) > LONGEST_KEY:
            message = f"Idempotency keys must be {LONGEST_KEY} characters or fewer."
            raise ApiError(message, kind="idempotency_error")
        if key in self.in_use:
            message = (
                "There is currently another in-progress request using this Idempotent Key "
                "(that probably means you submitted twice, and the other request is still "
                f"going through): {key}. Please try again later."
            )
            raise ApiError(
                message,
                status=HTTPStatus.CONFLICT,
                code="idempotency_key_in_use",
                kind="idempotency_error",
            )
        row = self.store.db.execute(
            "SELECT * FROM idempotency WHERE key = ? AND created > ?", (key, now - KEPT_SECONDS)
        ).fetchone()
        if row is None:
            return None
        if row["fingerprint"] != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they "
                f"were first used with. Try using a key other than '{key}' if you meant to "
                "execute a different request."
            )
            raise ApiError(message, kind="idempotency_error")
        return Kept(int(row["status"]), json.loads(row["body"]), row["request_id"])

    def keep(self, key: str, fingerprint: str, answer: Kept, now: int) -> None:
        """Store the first answer, in the caller's transaction."""
        self.store.db.execute(
            "INSERT OR REPLACE INTO idempotency (key, fingerprint, status, body, request_id,"
            " created) VALUES (?, ?, ?, ?, ?, ?)",
            (key, fingerprint, answer.status, json.dumps(answer.body), answer.request_id, now),
        )


def fingerprint(method: str, path: str, form: Json) -> str:
    """Return what must be equal for two requests to count as the same."""
    text = json.dumps([method, path, form], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
