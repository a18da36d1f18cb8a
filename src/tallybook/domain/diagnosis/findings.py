"""What ``tallybook doctor`` finds: a check, a verdict, a stable code, and in a sentence what to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """``wrong`` keeps the product from working; ``note`` is worth knowing."""

    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check; ``code`` and ``what_to_do`` are empty when it is fine."""

    check: str
    verdict: Verdict
    code: str
    found: str
    what_to_do: str = ""


def fine(check: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, verdict=Verdict.FINE, code="", found=found)


def note(code: str, check: str, found: str, what_to_do: str) -> Finding:
    """Worth knowing."""
    return Finding(check=check, verdict=Verdict.NOTE, code=code, found=found, what_to_do=what_to_do)


def wrong(code: str, check: str, found: str, what_to_do: str) -> Finding:
    """It keeps the product from working."""
    return Finding(check=check, verdict=Verdict.WRONG, code=code, found=found, what_to_do=what_to_do)
