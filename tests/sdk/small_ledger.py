"""One wallet as small as can be: what the outbox's model asks instead of the service."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sdk.scripted_service import MOMENT

from credit_sdk.errors import refusal
from credit_sdk.requests import Request

CREDIT = 1_000_000
LEASE = 10


@dataclass
class Ledger:
    """One wallet with its holds, and what each key was answered."""

    available: int = 100
    holds: dict[str, int] = field(default_factory=dict)
    answers: dict[str, tuple[str, Any]] = field(default_factory=dict)
    charged: Counter[str] = field(default_factory=Counter)

    def ask(self, request: Request[Any]) -> Any:
        """Act once for each key, and answer as the service does."""
        assert request.key is not None
        assert request.body is not None
        terms = json.dumps([request.path, dict(request.body)], sort_keys=True)
        if request.key not in self.answers:
            self.answers[request.key] = (terms, self._act(request, dict(request.body)))
        known, answer = self.answers[request.key]
        if known != terms:
            raise refusal("idempotency_key_reused", status=422)
        if isinstance(answer, str):
            raise refusal(answer, status=402 if answer == "insufficient_credits" else 409)
        return request.read(answer)

    def _act(self, request: Request[Any], body: dict[str, Any]) -> Any:
        credits = body.get("amount_micro", 0) // CREDIT
        match request.path.split("/")[2:]:
            case ["transfers"]:
                if credits > self.available:
                    return "insufficient_credits"
                self.available -= credits
                self.charged[body["description"]] += credits
                return self._drawn(id="trf_1_1", kind="spend", amount_micro=credits * CREDIT)
            case ["holds"]:
                if credits > self.available:
                    return "insufficient_credits"
                self.available -= credits
                name = f"hld_1_{len(self.answers)}"
                self.holds[name] = credits
                return self._drawn(id=name, transfer="trf_1_2", amount_micro=credits * CREDIT)
            case ["holds", hold, "capture"]:
                if hold not in self.holds:
                    return "hold_settled"
                assert credits <= self.holds[hold], "the client never takes more from a lease than it has"
                self.holds[hold] -= credits
                self.charged[body["description"]] += credits
                return self._drawn(transfer="trf_1_3", hold=hold, captured_micro=credits, released_micro=0)
            case ["holds", hold, "release"]:
                if hold not in self.holds:
                    return "hold_settled"
                self.available += self.holds.pop(hold)
                return self._drawn(transfer="trf_1_4", hold=hold, captured_micro=0, released_micro=1)
            case _:
                return "hold_settled"

    def _drawn(self, **more: Any) -> dict[str, Any]:
        balances = {"available_micro": 0, "held_micro": 0, "debt_micro": 0, "version": 1}
        return {"wallet": "wal_1", "wallet_after": balances, "created_at": MOMENT, **more}

    def expire(self) -> None:
        """All holds are over."""
        self.available += sum(self.holds.values())
        self.holds.clear()
