"""What a refusal is: a stable code, a sentence that says what to do, and facts."""

from __future__ import annotations

from typing import Any, ClassVar


class BillingError(Exception):
    """A refusal; the docstring of the subclass is its default sentence."""

    code: ClassVar[str] = "billing_error"

    def __init__(self, message: str | None = None, **facts: Any) -> None:
        """Say it in ``message`` (else the class's own sentence), with facts for programs."""
        self.message = message or (self.__doc__ or "").strip().splitlines()[0]
        self.facts = facts
        super().__init__(self.message)


def all_codes() -> dict[str, type[BillingError]]:
    """Every refusal by its code; the subclasses of ``BillingError`` that exist."""
    found: dict[str, type[BillingError]] = {}
    pending = list(BillingError.__subclasses__())
    while pending:
        kind = pending.pop()
        assert kind.code not in found, kind.code
        found[kind.code] = kind
        pending.extend(kind.__subclasses__())
    return found
