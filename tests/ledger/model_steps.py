"""The small steps that the model's requests are made of: a leg, a burn, a budget's count."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.model_parts import EFFECTS, Budget, Hold, Lot, Outcome, Pins, RefusedError, Transfer

from tallybook.domain.ledger.requests import Posting

MOST = 1_000_000_000_000_000


class Steps:
    """A wallet of the model, and what can be done to it in one move."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.available = self.held = self.debt = 0
        self.lots: dict[int, Lot] = {}
        self.holds: dict[int, Hold] = {}
        self.budgets: dict[int, Budget] = {}
        self.transfers: list[Transfer] = []
        self.answers: dict[tuple[int, str], tuple[Posting, Outcome]] = {}

    def _leg(
        self,
        kind: str,
        amount: int,
        parts: Pins,
        app: int,
        *,
        hold: int | None = None,
        undoes: int | None = None,
        budgets: tuple[int, ...] = (),
    ) -> None:
        available, held, debt = EFFECTS[kind]
        self.available += available * amount
        self.held += held * amount
        self.debt += debt * amount
        self.transfers.append(
            Transfer(
                kind, amount, self.available, self.held, self.debt, parts, app, hold, undoes, budgets, self.at
            )
        )

    def _bring(self, r: Posting, lot: Lot) -> None:
        lot.version = len(self.transfers) + 1
        self.lots[lot.version] = lot
        self._leg("grant", lot.amount, {lot.version: lot.amount}, r.app_id, undoes=r.undoes_version)

    def _burn(self, amount: int, first: int | None = None) -> Pins:
        taken: Pins = {}
        # After the lot that is named, those that came of the same business object.
        kin = None if first is None or first not in self.lots else self.lots[first].reference

        def order(lot: Lot) -> tuple[bool, bool, tuple[int, float, int]]:
            return (lot.version != first, kin is None or lot.reference != kin, lot.burns)

        for lot in sorted(self.lots.values(), key=order):
            part = min(lot.available, amount)
            if part:
                lot.available -= part
                taken[lot.version] = part
                amount -= part
        assert amount == 0
        return taken

    def _expire(self, lot: Lot, amount: int, app: int) -> None:
        lot.available -= amount
        self._leg("expire", amount, {lot.version: amount}, app)

    def _repay(self, app: int) -> None:
        amount = min(self.debt, self.available)
        if amount:
            self._leg("repay", amount, self._burn(amount), app)

    def _in_range(self, r: Posting) -> int:
        if r.amount_micro is None or not 0 < r.amount_micro <= MOST:
            raise RefusedError("amount_out_of_range")
        return r.amount_micro

    def _open_hold(self, version: int | None, app: int) -> Hold:
        hold = self.holds.get(version or 0)
        if hold is None or hold.app != app:
            raise RefusedError("hold_not_found")
        if hold.settled_by is not None:
            raise RefusedError("hold_settled")
        return hold

    def _path(self, r: Posting) -> tuple[int, ...]:
        path: list[int] = []
        at = r.budget_id
        # A cap applies to its own app unasked, and what an app keeps is for that app: no other names them.
        if at is not None and (
            at not in self.budgets
            or self.budgets[at].app not in {None, r.app_id}
            or self.budgets[at].keeper not in {0, r.app_id}
        ):
            raise RefusedError("budget_not_found")
        if at is not None and self.budgets[at].app is not None:
            # The app's own cap applies unasked; to name it says nothing more.
            at = None
        while at is not None:
            path.append(at)
            at = self.budgets[at].parent
        path += [b.budget_id for b in self.budgets.values() if b.app == r.app_id and b.budget_id not in path]
        return tuple(path)

    def _within(self, budgets: Sequence[int], amount: int) -> None:
        if any(self.budgets[b].passed_by(amount, self.at) for b in budgets):
            raise RefusedError("budget_exceeded")

    def _count(self, budgets: Sequence[int], *, spent: int = 0, reserved: int = 0) -> None:
        for b in budgets:
            self.budgets[b].count(spent, reserved, self.at)

    def _outcome(self, first: int) -> Outcome:
        legs = self.transfers[first - 1 :]

        def total(*kinds: str) -> int:
            return sum(leg.amount for leg in legs if leg.kind in kinds)

        counted = [
            leg
            for i, leg in enumerate(legs)
            if i == 0
            or leg.kind in {"clawback", "owe"}
            or leg.undoes is not None
            or (leg.kind == "spend" and legs[0].kind == "capture")
        ]
        return Outcome(
            code="ok",
            version=first,
            kind="clawback" if legs[0].kind == "owe" else legs[0].kind,
            amount=sum(leg.amount for leg in counted),
            released=total("release", "return"),
            repaid=total("repay"),
            owed=total("owe"),
            balances=(self.available, self.held, self.debt),
            last_version=len(self.transfers),
            hold=max((leg.hold for leg in legs if leg.hold is not None), default=None),
        )
