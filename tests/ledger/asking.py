"""What the model's tests ask for: requests drawn over what a wallet has been through, likely ones and unlikely ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st
from ledger.desk import moment
from ledger.model import Model

from tallybook.domain.ledger.requests import Account, HoldPolicy, Posting

BEGIN = 1_795_262_400  # Saturday, 21 November 2026, noon
AMOUNTS = st.integers(1, 30)
SPANS = st.sampled_from([1, 10, 60, 900, 3600, 86_400, 700_000, 3_000_000])
NEVER = 999_999


def _one_of(found: Iterable[int]) -> st.SearchStrategy[int]:
    # The newest first, since Hypothesis shrinks to the front; now and then one that does not exist.
    return st.sampled_from([*reversed(list(found)), NEVER])


def _budget(model: Model) -> st.SearchStrategy[int | None]:
    return st.none() | _one_of(model.budgets) if model.budgets else st.none()


def _grant(draw: Any, model: Model) -> dict[str, Any]:
    span = draw(st.none() | SPANS | st.just(0))
    return {
        "amount_micro": draw(st.integers(1, 60)),
        "house": draw(st.sampled_from([Account.PURCHASES, Account.ADJUSTMENTS, Account.DISPUTED])),
        "source": "purchase",
        "priority": draw(st.sampled_from([None, 10, 90])),
        "lot_expires_at": None if span is None else moment(model.at + span),
        "reference": draw(st.sampled_from([None, "cs_1", "cs_2"])),
    }


def _spend(draw: Any, model: Model) -> dict[str, Any]:
    return {"amount_micro": draw(AMOUNTS), "house": Account.USAGE, "budget_id": draw(_budget(model))}


def _hold(draw: Any, model: Model) -> dict[str, Any]:
    amount = draw(AMOUNTS)
    parents = [h.version for h in model.holds.values() if h.settled_by is None or h.version % 4 == 0]
    return {
        "amount_micro": amount,
        "lifetime_seconds": draw(st.none() | SPANS),
        "on_expiry": draw(st.none() | st.sampled_from(list(HoldPolicy))),
        "estimate_micro": draw(st.none() | st.integers(0, amount)),
        "budget_id": draw(_budget(model)),
        "parent_version": draw(st.none() | _one_of(parents)) if parents else None,
    }


def _some_hold(draw: Any, model: Model) -> int:
    unsettled = [h.version for h in model.holds.values() if h.settled_by is None]
    return int(draw(_one_of(unsettled if unsettled and draw(st.integers(0, 5)) else model.holds)))


def _capture(draw: Any, model: Model) -> dict[str, Any]:
    return {
        "amount_micro": draw(st.integers(0, 30)),
        "hold_version": _some_hold(draw, model),
        "final": draw(st.booleans()),
        "allow_excess": draw(st.sampled_from([None, True])),
    }


def _release(draw: Any, model: Model) -> dict[str, Any]:
    return {"hold_version": _some_hold(draw, model)}


def _clawback(draw: Any, model: Model) -> dict[str, Any]:
    return {
        "amount_micro": draw(AMOUNTS),
        "house": Account.REFUNDED,
        "lot_version": draw(st.none() | st.sampled_from(list(model.lots))) if model.lots else None,
    }


def _give_back(draw: Any, model: Model) -> dict[str, Any]:
    done = [i for i, t in enumerate(model.transfers, 1) if t.kind in {"spend", "capture"}]
    return {"amount_micro": draw(st.none() | AMOUNTS), "undoes_version": draw(_one_of(done))}


KINDS = {
    "spend": _spend,
    "grant": _grant,
    "hold": _hold,
    "capture": _capture,
    "release": _release,
    "give_back": _give_back,
    "clawback": _clawback,
}
# How often each is asked for.
OFTEN = [
    *(["spend"] * 4),
    *(["hold"] * 4),
    "grant",
    "grant",
    *(["capture"] * 3),
    "release",
    "give_back",
    "give_back",
]
OFTEN.append("clawback")


@st.composite
def requests(
    draw: Any, model: Model, wallet: int, key: str | None, often: Sequence[str] = tuple(OFTEN)
) -> Posting:
    """One request over what the model's wallet has been through."""
    op = draw(st.sampled_from(often))
    # The second app is a rare guest.
    app = 2 if draw(st.integers(0, 9)) == 9 else 1
    return Posting(op=op, wallet_id=wallet, app_id=app, key=key, **KINDS[op](draw, model))
