"""What goes with a refusal for want of credits: the offers that would cover it, a link for paying, a resume token.

Made anew for each answer from what is in memory; the ledger keeps the bare refusal under its key, so that a refusal
that is answered again brings a fresh link. Nothing here asks Stripe or the database.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tallybook.domain.catalog.offers import PayDesk
from tallybook.domain.errors import InsufficientCreditsError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Credits
from tallybook.domain.payments.pay_links import LINK_LIFETIME, PayLink, why_no_link
from tallybook.security import pay_links, resume_tokens
from tallybook.security.resume_tokens import Job
from tallybook.security.sealing import Sealer


def helped(
    sealer: Sealer,
    refusal: InsufficientCreditsError,
    *,
    now: datetime,
    caller: Caller,
    job: Job,
    desk: PayDesk,
) -> InsufficientCreditsError:
    """The refusal with what would help; its sentence and the facts of the ledger stay as they are."""
    facts: dict[str, Any] = {**refusal.facts, "offers": [offer.facts for offer in desk.offers]}
    missing = why_no_link(caller, desk.owner_user_id, on_sale=bool(desk.offers), stripe=desk.stripe)
    if missing is not None:
        facts |= {"pay_url": None, "pay_url_reason": str(missing)}
    else:
        assert desk.owner_user_id is not None
        link = PayLink(
            wallet_id=job.asked.wallet_id,
            user_id=desk.owner_user_id,
            requested=Credits(refusal.facts["requested_micro"]),
            shortfall=Credits(refusal.facts["shortfall_micro"]),
            expires_at=now + LINK_LIFETIME,
        )
        facts["pay_url"] = f"{desk.public_url}/pay/{pay_links.make(sealer, link)}"
    facts["resume_token"] = resume_tokens.token_after(sealer, job)
    return InsufficientCreditsError(refusal.message, **facts)
