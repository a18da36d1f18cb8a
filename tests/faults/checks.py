"""The invariants, each a function from the books (and the journal) to broken promises; nothing found is good.

The names I1 ... I9 are used in ``docs/faults.md``. They are written from what callers were promised, not from how the
ledger works, so that both would have to be wrong in the same way to agree on a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from faults.books import Books, Row
from faults.journal import Entry, Journal, Purchase

BALANCES = ("available", "held")


def final_state_faults(books: Books) -> list[str]:
    """I3: no balance is below zero now."""
    return [
        f"I3 wallet {row['wallet_id']}: {row}"
        for row in books.wallets
        if min(row["available_micro"], row["held_micro"], row["debt_micro"]) < 0
    ]


def history_faults(books: Books) -> list[str]:
    """I2, I3b, I4: every past balance follows from the one before, is not negative, and leads to the one of now."""
    faults: list[str] = []
    for wallet in books.wallets:
        faults += _history_of(wallet, books.by_wallet.get(wallet["wallet_id"], []))
    known = {wallet["wallet_id"] for wallet in books.wallets}
    faults += [
        f"I2 transfers of wallet {number}, which does not exist" for number in books.by_wallet.keys() - known
    ]
    return faults


def _history_of(wallet: Row, transfers: list[Row]) -> Iterator[str]:
    now = {"available": 0, "held": 0, "debt": 0}
    for number, row in enumerate(transfers, 1):
        where = f"wallet {row['wallet_id']} transfer {row['version']}"
        if row["version"] != number:
            yield f"I4 {where}: is number {number}"
        if row["amount_micro"] <= 0:
            yield f"I4 {where}: amount {row['amount_micro']}"
        for account in BALANCES:
            now[account] += row["amount_micro"] * ((row["credit"] == account) - (row["debit"] == account))
        # Debt is what the customer owes: a debit makes it more.
        now["debt"] += row["amount_micro"] * ((row["debit"] == "debt") - (row["credit"] == "debt"))
        written = {account: row[f"{account}_after"] for account in now}
        if written != now:
            yield f"I4 {where}: says {written}, follows {now}"
        if min(now.values()) < 0:
            yield f"I3b {where}: {now}"
    rests = {account: wallet[f"{account}_micro"] for account in now}
    if rests != now or wallet["version"] != len(transfers):
        yield f"I2 wallet {wallet['wallet_id']}: says {rests} at {wallet['version']}, follows {now} at {len(transfers)}"


def zero_sum_faults(books: Books) -> list[str]:
    """I1: what left the house's accounts is what customers have."""
    ours = ("available", "held", "debt")
    given = sum(
        row["amount_micro"] * ((row["debit"] not in ours) - (row["credit"] not in ours))
        for row in books.transfers
    )
    have = sum(row["available_micro"] + row["held_micro"] - row["debt_micro"] for row in books.wallets)
    return [] if given == have else [f"I1 the house gave {given}, customers have {have}"]


def hold_faults(books: Books) -> list[str]:
    """I5: a wallet holds what its open holds have left; no hold gives more than was placed."""
    faults: list[str] = []
    left: dict[int, int] = {}
    for place, row in books.hold_rows.items():
        flows = dict.fromkeys(("hold", "capture", "release"), 0)
        for transfer in books.of_hold[place]:
            flows[transfer["kind"]] += transfer["amount_micro"]
        written = (row["placed_micro"], row["captured_micro"], row["released_micro"])
        if written != tuple(flows.values()):
            faults.append(f"I5 hold {place}: says {written}, its transfers {flows}")
        rest = flows["hold"] - flows["capture"] - flows["release"]
        if rest < 0 or (rest == 0) != (row["settled_at"] is not None):
            faults.append(f"I5 hold {place}: {rest} left, settled {row['settled_at']}")
        left[place[0]] = left.get(place[0], 0) + rest
    faults += [
        f"I5 wallet {row['wallet_id']}: {row['held_micro']} held, its holds have {left.get(row['wallet_id'], 0)}"
        for row in books.wallets
        if row["held_micro"] != left.get(row["wallet_id"], 0)
    ]
    return faults


def journal_faults(books: Books, journal: Journal) -> list[str]:
    """I6, I7: what was acknowledged is there once, as acknowledged; what was refused is not there."""
    faults: list[str] = []
    for entry in journal.entries:
        found = books.by_key.get((entry.wallet_id, entry.key), [])
        if entry.status is None:
            faults.append(f"I6 key {entry.key} was never answered")
        elif not entry.succeeded and found:
            faults.append(f"I7 key {entry.key} was refused with {entry.status} and booked: {found}")
        elif entry.succeeded:
            faults += _acknowledged(books, entry, found)
    return faults


def _acknowledged(books: Books, entry: Entry, found: list[Row]) -> Iterator[str]:
    if len(found) != 1:
        yield f"I6 key {entry.key} was acknowledged and is there {len(found)} times"
        return
    [row] = found
    answer = entry.answer or {}
    parts = books.parts.get((entry.wallet_id, row["version"]), [])
    moved = row["amount_micro"]
    asked = answer["released_micro"] if entry.op == "release" else entry.amount_micro
    if (row["kind"], moved) != (entry.op, asked):
        yield f"I6 key {entry.key}: asked {entry.op} {asked}, booked {row['kind']} {moved}"
    if _number(answer) != (entry.wallet_id, row["version"]):
        yield f"I6 key {entry.key}: acknowledged as {answer}, booked as transfer {row['version']}"
    if entry.op == "capture":
        freed = sum(part["amount_micro"] for part in parts)
        if (answer["captured_micro"], answer["released_micro"]) != (moved, freed):
            yield f"I6 key {entry.key}: acknowledged {answer}, booked {moved} and {freed} freed"
    if entry.final:
        hold = books.hold_rows[entry.wallet_id, row["hold_version"]]
        if hold["remaining_micro"] != 0:
            yield f"I5 hold {entry.hold}: {hold['remaining_micro']} left after {entry.op} {entry.key} settled it"


def _number(answer: dict[str, Any]) -> tuple[int, int]:
    """Wallet and version of the transfer that an answer names, in whichever family's words."""
    if "transaction_id" in answer:
        wallet, version = divmod(answer["transaction_id"], 1_000_000_000)
    else:
        _, wallet, version = str(answer["transfer"] if "transfer" in answer else answer["id"]).split("_")
    return int(wallet), int(version)


def stranger_faults(books: Books, journal: Journal) -> list[str]:
    """I9: no transfer whose key no client sent; without a key only the parts of a request."""
    sent = {(entry.wallet_id, entry.key) for entry in journal.entries}
    sent |= {(purchase.wallet_id, _grant_key(purchase)) for purchase in journal.purchases if purchase.session}
    strangers = [
        row
        for row in books.transfers
        if (row["key"] is None and row["part_of"] is None)
        or (row["key"] is not None and (row["wallet_id"], row["key"]) not in sent)
    ]
    return [f"I9 nobody asked for {row}" for row in strangers]


def payment_faults(books: Books, purchases: Iterable[Purchase], paid: dict[str, bool]) -> list[str]:
    """I8: a paid session is granted once, its amount, to its wallet; an unpaid one never. ``paid`` is Stripe's word."""
    faults: list[str] = []
    for purchase in purchases:
        if purchase.session is None:
            faults.append(f"I8 purchase {purchase.key} was never answered")
            continue
        lots = [row for row in books.lots if row["reference"] == purchase.session]
        wanted = [(purchase.wallet_id, purchase.credits_micro)] if paid[purchase.session] else []
        if [(row["wallet_id"], row["amount_micro"]) for row in lots] != wanted:
            faults.append(f"I8 session {purchase.session}: paid is {paid[purchase.session]}, granted {lots}")
        keyed = books.by_key.get((purchase.wallet_id, _grant_key(purchase)), [])
        if len(keyed) != len(wanted):
            faults.append(f"I8 session {purchase.session}: {len(keyed)} grants in the ledger")
    return faults


def _grant_key(purchase: Purchase) -> str:
    return f"stripe:checkout_session:{purchase.session}:grant"


def verify_faults(books: Books) -> list[str]:
    """What the ledger's own check says."""
    return [f"verify {row}" for row in books.verified]


def all_faults(books: Books, journal: Journal, paid: dict[str, bool]) -> list[str]:
    """Every broken promise, those that clients saw first."""
    return [
        *journal.faults,
        *final_state_faults(books),
        *history_faults(books),
        *zero_sum_faults(books),
        *hold_faults(books),
        *journal_faults(books, journal),
        *stranger_faults(books, journal),
        *payment_faults(books, journal.purchases, paid),
        *verify_faults(books),
    ]
