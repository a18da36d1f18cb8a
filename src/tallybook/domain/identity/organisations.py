"""Organisations: several users who share wallets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

NAME_LENGTH_MAX = 200


class MemberRole(StrEnum):
    """What a user is in an organisation; both may use its wallets, an owner also says who belongs to it."""

    OWNER = "owner"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A user in an organisation."""

    user_id: int
    role: MemberRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """An organisation, its default wallet and its members."""

    organisation_id: int
    name: str
    wallet_id: int
    members: tuple[Member, ...]

    created_at: datetime

    @property
    def owners(self) -> frozenset[int]:
        """The members who may change something."""
        return frozenset(member.user_id for member in self.members if member.role is MemberRole.OWNER)
