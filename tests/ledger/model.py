"""A small model of one wallet, written from what the ledger promises and not from its SQL; standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

from ledger.model_parts import Budget, Hold, Lot, Outcome, RefusedError, Transfer
from ledger.model_steps import Steps

from tallybook.domain.ledger.requests import Posting


class Model(Steps):
    """One wallet: requests go in one after another, each is answered and kept under its key."""

    # --- Requests ---

    def post(self, now: int, requests: Sequence[Posting]) -> list[Outcome]:
        """Answer a batch, one request after another."""
        return [self._answer(now, request) for request in requests]

    def _answer(self, now: int, r: Posting) -> Outcome:
        if r.key is not None and (r.app_id, r.key) in self.answers:
            asked, outcome = self.answers[r.app_id, r.key]
            return outcome if asked == r else Outcome("idempotency_key_reused")
        self.at = max(self.at, now)
        self._settle()
        first = len(self.transfers) + 1
        try:
            getattr(self, f"_{r.op}")(r)
        except RefusedError as refusal:
            assert len(self.transfers) + 1 == first
            outcome = Outcome(str(refusal))
        else:
            self._repay(r.app_id)
            outcome = self._outcome(first)
        if r.key is not None:
            self.answers[r.app_id, r.key] = (r, outcome)
        return outcome

    def settle_due(self, now: int) -> None:
        """What the worker does: nothing when nothing is due yet."""
        if any(h.expires_at <= now for h in self.holds.values() if h.settled_by is None) or any(
            lot.available and lot.has_expired(now) for lot in self.lots.values()
        ):
            self.at = max(self.at, now)
            self._settle()

    def extend(self, now: int, version: int, lifetime: int) -> str:
        """Let a hold live longer; gives the code."""
        hold, now = self.holds[version], max(self.at, now)
        if hold.settled_by is not None or hold.expires_at <= now:
            return "hold_settled"
        hold.expires_at = max(hold.expires_at, now + lifetime)
        return "ok"

    def cap(self, app: int) -> Budget | None:
        """The cap of an app, if it has one."""
        return next((b for b in self.budgets.values() if b.app == app), None)

    def open_budget(self, now: int, budget: Budget) -> None:
        budget.start = budget.began(now)
        self.budgets[budget.budget_id] = budget

    # --- What each request does ---

    def _grant(self, r: Posting) -> None:
        amount = self._in_range(r)
        expires_at = None if r.lot_expires_at is None else int(r.lot_expires_at.timestamp())
        priority = 50 if r.priority is None else r.priority
        self._bring(r, Lot(0, r.source, amount, amount, priority, expires_at, r.reference))

    def _spend(self, r: Posting) -> None:
        amount, path = self._in_range(r), self._path(r)
        if amount > self.available:
            raise RefusedError("insufficient_credits")
        self._within(path, amount)
        self._leg("spend", amount, self._burn(amount), r.app_id, budgets=path)
        self._count(path, spent=amount)

    def _hold(self, r: Posting) -> None:
        amount, parent = self._in_range(r), None
        if r.parent_version is not None:
            if r.budget_id is not None:
                self._path(r)
            parent = self._open_hold(r.parent_version, r.app_id)
        path = parent.budgets if parent is not None and r.budget_id is None else self._path(r)
        reserved = parent.budgets if parent is not None else ()
        if not set(reserved) <= set(path):
            raise RefusedError("budget_not_found")
        if parent is not None and amount > parent.remaining:
            raise RefusedError("capture_exceeds_hold")
        if parent is None and amount > self.available:
            raise RefusedError("insufficient_credits")
        asked = tuple(b for b in path if b not in reserved)
        self._within(asked, amount)
        if parent is None:
            pins = self._burn(amount)
        else:
            pins = parent.take(amount)
            parent.delegated += amount
        version = len(self.transfers) + 1
        kind = "hold" if parent is None else "delegate"
        self._leg(kind, amount, pins, r.app_id, hold=version, budgets=path)
        self.holds[version] = Hold(
            version=version,
            app=r.app_id,
            placed=amount,
            pins=dict(pins),
            policy=r.on_expiry or "release",
            estimate=r.estimate_micro or 0,
            expires_at=self.at + (900 if r.lifetime_seconds is None else r.lifetime_seconds),
            parent=r.parent_version,
            budgets=path,
        )
        self._count(asked, reserved=amount)

    def _capture(self, r: Posting) -> None:
        hold, asked = self._open_hold(r.hold_version, r.app_id), r.amount_micro or 0
        excess = max(0, asked - hold.remaining)
        if excess and not r.allow_excess:
            raise RefusedError("capture_exceeds_hold")
        if excess > self.available:
            raise RefusedError("insufficient_credits")
        if excess:
            self._within(hold.budgets, excess)
        if not asked and not (r.final and hold.remaining):
            raise RefusedError("amount_out_of_range")
        self._settle_hold(hold, asked - excess, excess=excess, final=bool(r.final), settled_by="capture")

    def _release(self, r: Posting) -> None:
        hold = self._open_hold(r.hold_version, r.app_id)
        if not hold.remaining:
            raise RefusedError("amount_out_of_range")
        self._settle_hold(hold, 0, final=True, settled_by="release")

    def _clawback(self, r: Posting) -> None:
        amount = self._in_range(r)
        taken = min(amount, self.available)
        if taken:
            self._leg("clawback", taken, self._burn(taken, first=r.lot_version), r.app_id)
        if amount > taken:
            self._leg("owe", amount - taken, {}, r.app_id)

    def _give_back(self, r: Posting) -> None:
        version = r.undoes_version or 0
        done = self.transfers[version - 1] if 0 < version <= len(self.transfers) else None
        if done is None or done.app != r.app_id or done.kind not in {"spend", "capture"}:
            raise RefusedError("transfer_not_found")
        left = done.amount - done.given
        amount = left if r.amount_micro is None else r.amount_micro
        if not 0 < amount <= left:
            raise RefusedError("give_back_exceeds")
        parts = self._last_burned(done, amount)
        done.given += amount
        alive = {lot.version: part for lot, part in parts if not lot.has_expired(self.at)}
        if alive:
            self._leg("give_back", sum(alive.values()), alive, r.app_id, undoes=version)
            for number, part in alive.items():
                self.lots[number].available += part
        for old, part in parts:
            if old.version not in alive:
                assert old.expires_at is not None
                lives_to = self.at + old.expires_at - done.at
                self._bring(r, Lot(0, "usage_refund", part, part, old.priority, lives_to, old.reference))
        for b in done.budgets:
            if self.budgets[b].began(done.at) == self.budgets[b].began(self.at):
                self.budgets[b].count(-amount, 0, self.at)

    def _last_burned(self, done: Transfer, amount: int) -> list[tuple[Lot, int]]:
        """The lots that so much of a transfer returns to, after what was given back before."""
        skip, parts = done.given, []
        for number in sorted(done.parts, key=lambda n: self.lots[n].burns, reverse=True):
            past = min(skip, done.parts[number])
            part = min(done.parts[number] - past, amount)
            skip, amount = skip - past, amount - part
            if part:
                parts.append((self.lots[number], part))
        return parts

    # --- What is due ---

    def _settle(self) -> None:
        due = [h for h in self.holds.values() if h.settled_by is None and h.expires_at <= self.at]
        for hold in sorted(due, key=lambda h: (h.expires_at, h.version)):
            left = hold.remaining
            estimated = min(max(hold.estimate - hold.captured, 0), left)
            take = {"release": 0, "capture_estimate": estimated, "capture_maximum": left}[hold.policy]
            self._settle_hold(hold, take, final=True, settled_by="expiry")
            self._repay(hold.app)
        gone = [lot for lot in self.lots.values() if lot.available and lot.has_expired(self.at)]
        for lot in sorted(gone, key=lambda lot: (lot.expires_at, lot.version)):
            self._expire(lot, lot.available, 0)

    def _settle_hold(
        self, hold: Hold, captured: int, *, excess: int = 0, final: bool, settled_by: str
    ) -> None:
        if captured:
            self._leg(
                "capture", captured, hold.take(captured), hold.app, hold=hold.version, budgets=hold.budgets
            )
            hold.captured += captured
        if excess:
            self._leg("spend", excess, self._burn(excess), hold.app, budgets=hold.budgets)
        self._count(hold.budgets, spent=captured + excess, reserved=-captured)
        rest = hold.remaining
        if final and rest:
            pins = hold.take(rest)
            hold.released += rest
            parent = self.holds.get(hold.parent or 0)
            if parent is not None and parent.settled_by is None:
                self._leg("return", rest, pins, hold.app, hold=hold.version, budgets=hold.budgets)
                parent.delegated -= rest
                for lot, part in pins.items():
                    parent.pins[lot] += part
                self._count([b for b in hold.budgets if b not in parent.budgets], reserved=-rest)
            else:
                self._leg("release", rest, pins, hold.app, hold=hold.version, budgets=hold.budgets)
                self._count(hold.budgets, reserved=-rest)
                for lot, part in pins.items():
                    self.lots[lot].available += part
                late = [self.lots[n] for n in pins if self.lots[n].has_expired(self.at)]
                for old in sorted(late, key=lambda lot: (lot.expires_at, lot.version)):
                    self._expire(old, pins[old.version], hold.app)
        if final or hold.captured + hold.released == hold.placed:
            hold.settled_by = settled_by


def post_whole(
    models: Mapping[int, Model], now: int, requests: Sequence[Posting]
) -> tuple[list[Outcome], tuple[int, str] | None]:
    """Answer a batch over several wallets that is booked whole or not at all; and say what refused it, and why."""
    tried = deepcopy(models)
    outcomes = [tried[r.wallet_id].post(now, [r])[0] for r in requests]
    blamed = next(((i, outcome.code) for i, outcome in enumerate(outcomes) if outcome.code != "ok"), None)
    if blamed is None:
        for wallet, model in models.items():
            vars(model).update(vars(tried[wallet]))
        return outcomes, None
    refused = Outcome("batch_refused")
    # A key that was used for other terms is no decision; else all keys that are not answered yet are refused for ever.
    if blamed[1] != "idempotency_key_reused":
        for r in requests:
            if r.key is not None:
                models[r.wallet_id].answers.setdefault((r.app_id, r.key), (r, refused))
    return [refused for _ in requests], blamed
