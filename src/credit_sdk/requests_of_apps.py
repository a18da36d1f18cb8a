"""The requests of apps and their API keys: method, path, body and answer, said once (see ``requests.py``).

All of them need an admin's session, opened without an ``app_id``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from credit_sdk.answers import ApiKey, App, CreatedApiKey, CreatedApp, DatabaseLogin, Page
from credit_sdk.requests import Request, given, new_key, one, page, segment


def _path(app_id: str, *rest: str) -> str:
    return "/".join(["/v1/apps", segment(app_id), *rest])


def create_app(
    name: str,
    *,
    permissions: Sequence[str] | None = None,
    domain: str | None = None,
    requires_api_key: bool | None = None,
    idempotency_key: str | None = None,
) -> Request[CreatedApp]:
    """Register an app; its first API key is in this answer and nowhere else.

    ``permissions`` are among ``read_user_info``, ``read_credits``, ``consume_credits``,
    ``purchase_credits`` and ``grant_credits``; without them the app gets the first four.

    Raises:
        AdminRequiredError: the session is not an admin's.
    """
    return Request(
        method="POST",
        path="/v1/apps",
        read=one(CreatedApp),
        body={
            "name": name,
            **given(
                permissions=None if permissions is None else list(permissions),
                domain=domain,
                requires_api_key=requires_api_key,
            ),
        },
        key=idempotency_key or new_key(),
    )


def apps(*, limit: int | None = None, after: str | int | None = None) -> Request[Page[App]]:
    """Apps in the order they were registered; ``after`` is the ``next_cursor`` of the page before."""
    return Request(method="GET", path="/v1/apps", read=page(App), query=given(limit=limit, after=after))


def app(app_id: str) -> Request[App]:
    """An app by its App ID (``app_…``).

    Raises:
        AppNotFoundError: there is none.
    """
    return Request(method="GET", path=_path(app_id), read=one(App))


def update_app(
    app_id: str,
    *,
    name: str | None = None,
    domain: str | None = None,
    permissions: Sequence[str] | None = None,
    requires_api_key: bool | None = None,
    is_active: bool | None = None,
) -> Request[App]:
    """Change what is given of an app; the rest stays as it is."""
    return Request(
        method="PATCH",
        path=_path(app_id),
        read=one(App),
        body=given(
            name=name,
            domain=domain,
            permissions=None if permissions is None else list(permissions),
            requires_api_key=requires_api_key,
            is_active=is_active,
        ),
    )


def keys(app_id: str) -> Request[Page[ApiKey]]:
    """The API keys of an app: their beginnings, never the keys."""
    return Request(method="GET", path=_path(app_id, "api-keys"), read=page(ApiKey))


def create_key(
    app_id: str,
    *,
    label: str | None = None,
    expires_at: datetime | None = None,
    idempotency_key: str | None = None,
) -> Request[CreatedApiKey]:
    """One more API key, shown in this answer only; the others go on working, so keys can be rolled.

    ``expires_at`` is an aware time.
    """
    return Request(
        method="POST",
        path=_path(app_id, "api-keys"),
        read=one(CreatedApiKey),
        body=given(label=label, expires_at=None if expires_at is None else expires_at.isoformat()),
        key=idempotency_key or new_key(),
    )


def delete_key(app_id: str, api_key_id: str) -> Request[ApiKey]:
    """Revoke an API key (``key_1``): it is refused from now on."""
    return Request(method="DELETE", path=_path(app_id, "api-keys", segment(api_key_id)), read=one(ApiKey))


def create_database_login(app_id: str) -> Request[DatabaseLogin]:
    """A login for direct SQL, shown in this answer only.

    Asked again it gets a new password and the old one ends; so the newest answer is the one that holds.
    """
    return Request(method="POST", path=_path(app_id, "database-login"), read=one(DatabaseLogin), body={})
