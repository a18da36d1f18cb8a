"""What every use case is given: the database, Stripe, the keys, the catalogue, the clock and a few settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from pathlib import Path

from tallybook.domain.catalog.products import Catalog
from tallybook.domain.clock import Clock
from tallybook.postgres.fresh import Fresh
from tallybook.postgres.group_commit import GroupCommit
from tallybook.postgres.known import Known
from tallybook.postgres.pool import Database
from tallybook.postgres.shop import Shop
from tallybook.security.sealing import Sealer
from tallybook.security.tokens import TokenSigner
from tallybook.stripe.gateway import StripeGateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Built once by the roof (app.py); use cases take it as their first parameter.

    ``group_commit`` posts, ``fresh`` reads and ``known`` remembers for many callers at once; ``db`` is for the rest.
    ``webhook_secrets`` gives the signing secrets of each intake path. ``pages_url`` is where customers come back to;
    ``allowed_return_origins`` are the origins a return URL may have besides those of the apps' domains. With
    ``freeze_on_dispute`` a wallet is frozen while a payment of its is disputed. Into ``anchors_dir`` the worker exports
    an anchor every ``anchor_every_seconds``; None: it does not. ``own_addresses`` are hosts, with ports where named,
    that lead here; ``publishable_key`` is what pages give to Stripe's script. At
    ``reconcile_at`` (UTC) the worker compares Stripe with our books each day; None: it does not.
    """

    db: Database
    group_commit: GroupCommit
    fresh: Fresh
    known: Known
    stripe: StripeGateway | None
    signer: TokenSigner
    sealer: Sealer
    catalog: Catalog
    shop: Shop
    clock: Clock
    livemode: bool
    webhook_secrets: dict[str, tuple[str, ...]]
    pages_url: str
    allowed_return_origins: tuple[str, ...]
    session_token_seconds: int
    session_seconds: int
    freeze_on_dispute: bool = False
    anchors_dir: Path | None = None
    anchor_every_seconds: int = 24 * 3600
    own_addresses: frozenset[str] = frozenset()
    publishable_key: str | None = None
    reconcile_at: time | None = None
