"""Who is calling, and the only authorization checks there are.

How a caller proved who they are (session token, API key, command line) is decided before; nobody asks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tallybook.domain.errors import (
    AdminRequiredError,
    AuthenticationRequiredError,
    HoldNotFoundError,
    PermissionDeniedError,
)
from tallybook.domain.ids import LedgerId

HOUSE_APP_ID = 0
"""The app under which Tallybook itself posts: fulfilment, the command line, its own pages."""

KEY_SEPARATOR = "\x1f"
"""Between the owner of an idempotency key and the key; no caller can send it, since keys must be printable."""


class Permission(StrEnum):
    """What an app may do; document 000 names the first four."""

    READ_USER_INFO = "read_user_info"
    READ_CREDITS = "read_credits"
    CONSUME_CREDITS = "consume_credits"
    PURCHASE_CREDITS = "purchase_credits"
    GRANT_CREDITS = "grant_credits"
    EXCEED_HOLDS = "exceed_holds"
    REFUND_PAYMENTS = "refund_payments"


SEED_PERMISSIONS = (
    Permission.READ_USER_INFO,
    Permission.READ_CREDITS,
    Permission.CONSUME_CREDITS,
    Permission.PURCHASE_CREDITS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldToken:
    """What whoever carries a hold token has proved: the hold it is of, the token's own name, and until when it counts.

    Holds placed by it belong to whoever placed the hold it is of: the app, and the user if a session of theirs did.
    """

    hold_id: LedgerId
    name: str
    expires_at: datetime
    session_user_id: int | None = None

    @property
    def key_prefix(self) -> str:
        """What stands before the idempotency keys of this token: no other token, key or session has the same."""
        return f"hold_token:{self.name}{KEY_SEPARATOR}"

    def parent(self, named: LedgerId | None, *, elsewhere: bool) -> LedgerId:
        """The hold to take a sub-hold out of: the token's, which may go without saying.

        Raises:
            PermissionDeniedError: ``elsewhere``: a user, a wallet or a budget was named.
            HoldNotFoundError: another hold was named; also one that this token placed.
        """
        if elsewhere:
            raise PermissionDeniedError(
                "A hold token takes out of its hold only: name no user, wallet or budget."
            )
        if named not in {None, self.hold_id}:
            raise HoldNotFoundError
        return self.hold_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated caller.

    ``user_id`` is set for a session, ``by_key`` for an API key (which acts for any user of the app's permissions).
    ``app_id`` is the app that calls or for which the session was opened; 0 is the house.
    ``permissions`` are the app's; a session of the house app has them all, for its own user.
    ``hold_token`` is set for whoever carries one: such a caller has no permission and is nobody's session, so that
    everything is refused but what the use cases of holds let a token do (``domain/ledger/sight.py``).
    """

    app_id: int = HOUSE_APP_ID
    app_public_id: str = "app_house"
    user_id: int | None = None
    session_id: str | None = None
    is_admin: bool = False
    by_key: bool = False
    permissions: frozenset[Permission] = frozenset(Permission)
    hold_token: HoldToken | None = None

    def require(self, permission: Permission) -> None:
        """Refuse unless the caller's app holds the permission; an admin of the house holds all.

        Raises:
            PermissionDeniedError: it does not.
        """
        if self.hold_token is not None:
            raise PermissionDeniedError(
                "A hold token may place, settle and read its own holds, and nothing else."
            )
        if permission not in self.permissions:
            raise PermissionDeniedError(
                f"The app lacks the permission {permission}: an admin can add it.",
                permission=str(permission),
            )

    @property
    def rules_the_house(self) -> bool:
        """Whether this is an admin signed in to the house itself, or its command line."""
        return self.is_admin and self.app_id == HOUSE_APP_ID

    def require_admin(self) -> None:
        """Refuse unless the caller is an admin signed in to the house itself.

        A session that an admin opened for some app does not carry admin rights into that app.

        Raises:
            AdminRequiredError: it is not.
        """
        if not self.rules_the_house:
            raise AdminRequiredError

    def own_user_in_house(self) -> int:
        """The user, if they signed in to the house itself; for acts on one's own account.

        A session that was opened for some app must not take the account over.

        Raises:
            AuthenticationRequiredError: the caller is no user. PermissionDeniedError: they came through an app.
        """
        if self.user_id is None:
            raise AuthenticationRequiredError("This needs a user's session token.")
        if self.app_id != HOUSE_APP_ID:
            raise PermissionDeniedError("Sign in to Tallybook itself for this, not through an app.")
        return self.user_id

    def holds_cards_of(self, user_id: int) -> bool:
        """Whether ``cardholder`` lets this call reach the saved cards of a user."""
        try:
            return self.cardholder(user_id) == user_id
        except (AuthenticationRequiredError, PermissionDeniedError):
            return False

    def cardholder(self, user_id: int | None) -> int:
        """The user whose saved cards this call is about: the caller's own, or one that an admin names.

        An app may open purchases for its users, who then pay themselves; what was saved is charged, shown and
        removed only for the user, signed in to the house itself.

        Raises:
            AuthenticationRequiredError: the caller is no user. PermissionDeniedError: another user's, or in an app.
        """
        if user_id is not None and self.rules_the_house:
            return user_id
        if self.by_key or self.hold_token is not None:
            raise PermissionDeniedError("Saved cards are the user's own: no key of an app reaches them.")
        own = self.own_user_in_house()
        if user_id not in {None, own}:
            raise PermissionDeniedError("This belongs to another user.")
        return own

    def require_grant(self) -> None:
        """Refuse unless the caller may add credits: an admin of the house, or an app's key with the permission.

        A customer's session never may, whatever its app may do.

        Raises:
            PermissionDeniedError: it may not.
        """
        if self.by_key and Permission.GRANT_CREDITS in self.permissions:
            return
        if not self.rules_the_house:
            raise PermissionDeniedError(
                "Adding credits needs an admin, or an API key of an app with grant_credits.",
                permission=str(Permission.GRANT_CREDITS),
            )

    def require_refund(self) -> None:
        """Refuse unless the caller may give money back: an admin of the house, or an app's key with the permission.

        Raises:
            PermissionDeniedError: it may not.
        """
        if self.by_key and Permission.REFUND_PAYMENTS in self.permissions:
            return
        if not self.rules_the_house:
            raise PermissionDeniedError(
                "Refunds need an admin, or an API key of an app with refund_payments.",
                permission=str(Permission.REFUND_PAYMENTS),
            )

    def user_for(self, user_id: int | None, permission: Permission) -> int:
        """The user that this call is about: the caller's own, or the named one if they may.

        Raises:
            PermissionDeniedError: another user's, and neither an admin nor an app key with the permission.
            AuthenticationRequiredError: no user is named and the caller is not one.
        """
        self.require(permission)
        if user_id is None:
            if self.user_id is None:
                raise AuthenticationRequiredError("Name a user, or call with a user's session token.")
            return self.user_id
        if user_id == self.user_id or self.by_key or self.rules_the_house:
            return user_id
        raise PermissionDeniedError("This belongs to another user.")

    def scoped_key(self, key: str | None) -> str | None:
        """An idempotency key as the ledger keeps it: out of reach of everybody else's keys in the same app.

        An app's own keys stand as they are. A user's session and the command line get who they are in front, so
        that a customer can take neither a key of the app's server nor one under which the house grants a payment. A
        hold token gets its own name: two sub-agents that choose the same key cannot read each other's answers.
        """
        if self.hold_token is not None:
            return None if key is None else f"{self.hold_token.key_prefix}{key}"
        if key is None or (self.by_key and self.app_id != HOUSE_APP_ID):
            return key
        who = f"user:{self.user_id}" if self.user_id is not None else "operator"
        return f"{who}{KEY_SEPARATOR}{key}"

    @property
    def actor(self) -> tuple[str, str]:
        """Kind and id for the audit log."""
        if self.hold_token is not None:
            return ("hold_token", self.hold_token.name)
        if self.user_id is not None:
            return ("admin" if self.is_admin else "user", str(self.user_id))
        if self.by_key:
            return ("app", self.app_public_id)
        return ("operator", "cli")
