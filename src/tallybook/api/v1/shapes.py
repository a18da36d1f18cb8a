"""Shapes that several native routes share: wallets, transfers, holds and what is left after a posting."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tallybook.api.deps import Shape
from tallybook.domain.ids import plain_id
from tallybook.domain.ledger.requests import Answer, Hold, Lot, Transfer, Wallet

HIDDEN = "Null for whoever carries a hold token: what else the wallet has is not their business."


class Balances(Shape):
    """A wallet's balances in micro-credits, and the number of its newest transfer."""

    available_micro: int = Field(description="What can be spent now.", examples=[995_000_000])
    held_micro: int = Field(description="Set aside by open holds.", examples=[0])
    debt_micro: int = Field(description="Owed; paid from the next additions.", examples=[0])
    version: int = Field(description="Grows by one with each transfer.", examples=[2])


class Owner(Shape):
    """Whose wallet it is."""

    kind: Literal["user", "organisation"]
    id: int


class WalletShape(Balances):
    """A wallet as it is now."""

    id: str = Field(examples=["wal_12"])
    owner: Owner
    frozen: bool = Field(description="It neither spends nor places holds.", examples=[False])
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, wallet: Wallet) -> WalletShape:
        """Draw a wallet."""
        if wallet.owner_user_id is not None:
            owner = Owner(kind="user", id=wallet.owner_user_id)
        else:
            assert wallet.owner_organisation_id is not None
            owner = Owner(kind="organisation", id=wallet.owner_organisation_id)
        return cls(
            id=plain_id("wal", wallet.wallet_id),
            owner=owner,
            frozen=wallet.is_frozen,
            available_micro=wallet.available_micro,
            held_micro=wallet.held_micro,
            debt_micro=wallet.debt_micro,
            version=wallet.version,
            created_at=wallet.created_at,
            updated_at=wallet.updated_at,
        )


class TransferShape(Shape):
    """One line of a wallet's history."""

    id: str = Field(examples=["trf_12_2"])
    wallet: str = Field(examples=["wal_12"])
    kind: str = Field(examples=["spend"])
    debit: str = Field(examples=["available"])
    credit: str = Field(examples=["usage"])
    amount_micro: int = Field(examples=[5_000_000])
    wallet_after: Balances
    hold: str | None = Field(examples=[None])
    idempotency_key: str | None = Field(examples=["job-12345"])
    description: str | None = Field(examples=["Print job 12345"])
    service: str | None = Field(examples=["autoprint"])
    metadata: dict[str, Any] | None
    created_at: datetime

    @classmethod
    def from_domain(cls, transfer: Transfer) -> TransferShape:
        """Draw a transfer."""
        return cls(
            id=transfer.id.wire("trf"),
            wallet=plain_id("wal", transfer.id.wallet_id),
            kind=transfer.kind,
            debit=transfer.debit,
            credit=transfer.credit,
            amount_micro=transfer.amount_micro,
            wallet_after=Balances(
                available_micro=transfer.available_after,
                held_micro=transfer.held_after,
                debt_micro=transfer.debt_after,
                version=transfer.id.version,
            ),
            hold=transfer.hold.wire("hld") if transfer.hold else None,
            idempotency_key=transfer.key,
            description=transfer.description,
            service=transfer.service,
            metadata=dict(transfer.metadata) if transfer.metadata is not None else None,
            created_at=transfer.created_at,
        )


class PostedShape(Shape):
    """A transfer just posted."""

    id: str = Field(examples=["trf_12_2"])
    wallet: str = Field(examples=["wal_12"])
    kind: str = Field(examples=["spend"])
    amount_micro: int = Field(examples=[5_000_000])
    wallet_after: Balances
    created_at: datetime

    @classmethod
    def from_domain(cls, answer: Answer) -> PostedShape:
        """Draw what the ledger answered."""
        return cls(
            id=answer.transfer.wire("trf"),
            wallet=plain_id("wal", answer.transfer.wallet_id),
            kind=answer.kind,
            amount_micro=answer.amount_micro,
            wallet_after=balances(answer),
            created_at=answer.created_at,
        )


class PlacedShape(Shape):
    """A hold just placed."""

    id: str = Field(examples=["hld_12_3"])
    transfer: str = Field(examples=["trf_12_3"])
    wallet: str = Field(examples=["wal_12"])
    amount_micro: int = Field(examples=[20_000_000])
    wallet_after: Balances | None = Field(description=HIDDEN)
    created_at: datetime

    @classmethod
    def from_domain(cls, answer: Answer) -> PlacedShape:
        """Draw what the ledger answered."""
        assert answer.hold is not None
        return cls(
            id=answer.hold.wire("hld"),
            transfer=answer.transfer.wire("trf"),
            wallet=plain_id("wal", answer.transfer.wallet_id),
            amount_micro=answer.amount_micro,
            wallet_after=balances(answer) if answer.shows_wallet else None,
            created_at=answer.created_at,
        )


class SettledShape(Shape):
    """A capture or a release just posted."""

    transfer: str = Field(examples=["trf_12_4"])
    hold: str = Field(examples=["hld_12_3"])
    wallet: str = Field(examples=["wal_12"])
    captured_micro: int = Field(examples=[12_500_000])
    released_micro: int = Field(examples=[7_500_000])
    wallet_after: Balances | None = Field(description=HIDDEN)
    created_at: datetime

    @classmethod
    def from_domain(cls, answer: Answer) -> SettledShape:
        """Draw what the ledger answered."""
        assert answer.hold is not None
        return cls(
            transfer=answer.transfer.wire("trf"),
            hold=answer.hold.wire("hld"),
            wallet=plain_id("wal", answer.transfer.wallet_id),
            captured_micro=answer.amount_micro if answer.kind == "capture" else 0,
            released_micro=answer.released_micro,
            wallet_after=balances(answer) if answer.shows_wallet else None,
            created_at=answer.created_at,
        )


class HoldShape(Shape):
    """A hold as it is now."""

    id: str = Field(examples=["hld_12_3"])
    wallet: str = Field(examples=["wal_12"])
    status: Literal["open", "settled"]
    placed_micro: int
    captured_micro: int
    released_micro: int
    remaining_micro: int
    delegated_micro: int = Field(description="What sub-holds have taken out of it.")
    parent: str | None = Field(description="The hold that it was taken out of.")
    on_expiry: str
    expires_at: datetime
    placed_at: datetime
    settled_at: datetime | None
    settled_by: Literal["capture", "release", "expiry"] | None = Field(
        description="`expiry`: it was left behind, and settled by its policy."
    )

    @classmethod
    def from_domain(cls, hold: Hold) -> HoldShape:
        """Draw a hold."""
        return cls(
            id=hold.id.wire("hld"),
            wallet=plain_id("wal", hold.id.wallet_id),
            status="open" if hold.settled_at is None else "settled",
            placed_micro=hold.placed_micro,
            captured_micro=hold.captured_micro,
            released_micro=hold.released_micro,
            remaining_micro=hold.remaining_micro,
            delegated_micro=hold.delegated_micro,
            parent=hold.parent.wire("hld") if hold.parent else None,
            on_expiry=hold.on_expiry,
            expires_at=hold.expires_at,
            placed_at=hold.placed_at,
            settled_at=hold.settled_at,
            settled_by=hold.settled_by,
        )


class LotShape(Shape):
    """Credits that arrived together, and what is left of them."""

    id: str = Field(examples=["lot_12_3"])
    source: str = Field(examples=["purchase"])
    amount_micro: int
    available_micro: int
    held_micro: int
    priority: int = Field(description="Lower burns first; then what expires sooner, then what came earlier.")
    expires_at: datetime | None
    price_minor: int | None = Field(description="What was paid for the whole lot.")
    currency: str | None
    reference: str | None
    created_at: datetime

    @classmethod
    def from_domain(cls, lot: Lot) -> LotShape:
        """Draw a lot."""
        return cls(
            id=lot.id.wire("lot"),
            source=lot.source,
            amount_micro=lot.amount_micro,
            available_micro=lot.available_micro,
            held_micro=lot.held_micro,
            priority=lot.priority,
            expires_at=lot.expires_at,
            price_minor=lot.price_minor,
            currency=lot.currency,
            reference=lot.reference,
            created_at=lot.created_at,
        )


def balances(answer: Answer) -> Balances:
    """The wallet right after what was answered."""
    return Balances(
        available_micro=answer.available_micro,
        held_micro=answer.held_micro,
        debt_micro=answer.debt_micro,
        version=answer.wallet_version,
    )
