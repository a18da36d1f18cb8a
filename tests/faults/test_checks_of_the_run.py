"""The bank run's own checks can fail: each sees the fault that it is there for, and nothing in sound books."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from faults import checks
from faults.books import Books, Row
from faults.journal import Entry, Journal, Purchase
from faults.killer import HeldPort, Kill, the_kills_hit

SESSION = "cs_test_1"
GRANT_KEY = f"stripe:checkout_session:{SESSION}:grant"


def _transfer(version: int, kind: str, accounts: tuple[str, str], amount: int, **more: object) -> Row:
    debit, credit = accounts
    row: Row = {"wallet_id": 1, "version": version, "kind": kind, "debit": debit, "credit": credit}
    row |= {"amount_micro": amount, "debt_after": 0, "app_id": 1, "part_of": None, "hold_version": None}
    return row | more


def sound_books() -> Books:
    """Ten bought, three spent, four held, of which one was captured and three came back."""
    used = {"hold_version": 3}
    transfers = [
        _transfer(
            1, "grant", ("purchases", "available"), 10, available_after=10, held_after=0, key=GRANT_KEY
        ),
        _transfer(2, "spend", ("available", "usage"), 3, available_after=7, held_after=0, key="spend"),
        _transfer(3, "hold", ("available", "held"), 4, available_after=3, held_after=4, key="hold", **used),
        _transfer(4, "capture", ("held", "usage"), 1, available_after=3, held_after=3, key="capture", **used),
        _transfer(5, "release", ("held", "available"), 3, available_after=6, held_after=0, key=None, **used)
        | {"part_of": 4},
    ]
    wallet: Row = {"wallet_id": 1, "available_micro": 6, "held_micro": 0, "debt_micro": 0, "version": 5}
    hold: Row = {"wallet_id": 1, "version": 3, "placed_micro": 4, "captured_micro": 1, "released_micro": 3}
    hold |= {"remaining_micro": 0, "settled_at": "now"}
    lot: Row = {"wallet_id": 1, "version": 1, "source": "purchase", "amount_micro": 10, "reference": SESSION}
    return Books(transfers=transfers, wallets=[wallet], holds=[hold], lots=[lot], verified=[])


def sound_journal(place: Path) -> Journal:
    """What the clients of these books were answered."""
    journal = Journal.at(place / "journal.jsonl")
    after = {"available_micro": 0, "held_micro": 0, "debt_micro": 0, "version": 1}
    told: tuple[tuple[str, int, int, dict[str, Any]], ...] = (
        ("spend", 3, 201, {"id": "trf_1_2", "wallet_after": after}),
        ("hold", 4, 201, {"id": "hld_1_3", "transfer": "trf_1_3"}),
        ("capture", 1, 200, {"transfer": "trf_1_4", "captured_micro": 1, "released_micro": 3}),
        ("refused", 50, 402, {"code": "insufficient_credits"}),
    )
    for number, (op, amount, status, answer) in enumerate(told):
        entry = Entry(number, 0, op, 1, op, "/", {}, amount, hold="hld_1_3" if op == "capture" else None)
        journal.intend(entry)
        journal.answered(entry, status, answer)
    journal.purchases.append(Purchase("buy", 1, 1, "pack", SESSION, "chk_1", 10))
    return journal


def test_sound_books_have_no_faults(tmp_path: Path) -> None:
    journal = sound_journal(tmp_path)

    assert checks.all_faults(sound_books(), journal, {SESSION: True}) == []
    journal.close()


@pytest.mark.parametrize(
    ("check", "table", "row", "change"),
    [
        ("I1", "transfers", 0, {"debit": "available"}),
        ("I2", "wallets", 0, {"available_micro": 7}),
        ("I3 ", "wallets", 0, {"available_micro": -1}),
        ("I3b", "transfers", 1, {"amount_micro": 11}),
        ("I4", "transfers", 2, {"available_after": 4}),
        ("I4", "transfers", 1, {"version": 3}),
        ("I5", "holds", 0, {"captured_micro": 2}),
        ("I5", "holds", 0, {"settled_at": None}),
        ("I5", "holds", 0, {"remaining_micro": 1}),
        ("I5", "wallets", 0, {"held_micro": 2}),
        ("I6", "transfers", 1, {"key": "another"}),
        ("I6", "transfers", 1, {"amount_micro": 2}),
        ("I6", "transfers", 1, {"kind": "hold"}),
        ("I6", "transfers", 4, {"amount_micro": 2}),
        ("I7", "transfers", 1, {"key": "refused"}),
        ("I8", "lots", 0, {"amount_micro": 9}),
        ("I8", "lots", 0, {"reference": None}),
        ("I9", "transfers", 1, {"key": "nobody's"}),
        ("I9", "transfers", 4, {"part_of": None}),
    ],
)
def test_a_change_of_one_row_is_found(
    tmp_path: Path, check: str, table: str, row: int, change: dict[str, object]
) -> None:
    journal, books = sound_journal(tmp_path), sound_books()
    getattr(books, table)[row].update(change)

    faults = checks.all_faults(books, journal, {SESSION: True})
    journal.close()

    assert any(fault.startswith(check) for fault in faults), faults


def test_a_grant_without_a_payment_and_a_second_grant_are_found(tmp_path: Path) -> None:
    journal, books, twice = sound_journal(tmp_path), sound_books(), sound_books()
    twice.lots.append(twice.lots[0])

    unpaid = checks.payment_faults(books, journal.purchases, {SESSION: False})
    double = checks.payment_faults(twice, journal.purchases, {SESSION: True})
    journal.close()

    assert unpaid and double


def test_an_answer_that_changes_and_a_read_that_goes_back_are_found(tmp_path: Path) -> None:
    journal = sound_journal(tmp_path)
    spend = journal.entries[0]

    journal.answered(spend, 402, {"code": "insufficient_credits"})
    journal.misused(spend, 201, {"id": "trf_1_9"})
    journal.saw(1, {"available_micro": 5, "held_micro": 0, "version": 4}, at_least=5)
    journal.close()

    assert [fault[:4] for fault in journal.faults] == ["I11 "] * 3


COUNTS = {"connection: ReadError": 1, "database_unavailable": 1, "settled by a replay": 1}
VICTIMS = ("postgres", "service", "worker")


def _kills(times: int = 3, *, pid_after: int = 2, hit: int = 1) -> list[Kill]:
    return [Kill(victim, 1, pid_after, 0.5, hit) for victim in VICTIMS for _ in range(times)]


def test_a_run_whose_kills_hit_nothing_fails() -> None:
    the_kills_hit(_kills(), COUNTS)

    for kills in (_kills(2), _kills(pid_after=1), _kills(hit=0)):
        with pytest.raises(AssertionError):
            the_kills_hit(kills, COUNTS)
    for missing in COUNTS:
        with pytest.raises(AssertionError):
            the_kills_hit(_kills(), {name: count for name, count in COUNTS.items() if name != missing})


def test_a_stranger_on_the_port_of_the_dead_service_is_noticed() -> None:
    port = HeldPort()
    dead = port.someone_listens()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port.number))
        stranger.listen()
        taken = port.someone_listens()
    port.close()

    assert (dead, taken) == (False, True)
