"""Anchors: what a superuser rewrites without a trace inside the database is named from outside of it."""

from __future__ import annotations

import pytest
from ledger.anchored import AnchoredLedger, read, rewrite
from ledger.rewriting import do, wipe

from tallybook.domain.errors import AnchorFailedError, InsufficientCreditsError
from tallybook.domain.ledger.anchors import Span
from tallybook.security.anchored_heads import HEADS_NAME, AnchoredHeads


async def test_books_that_nobody_touched_agree_with_their_anchors(anchored: AnchoredLedger) -> None:
    compared = await anchored.compare()

    assert compared.faults == []
    assert (compared.anchors, compared.transfers, compared.refusals) == (3, 18, 9)
    assert compared.transfers_since == 0


async def test_an_anchor_holds_only_what_came_since_the_one_before(anchored: AnchoredLedger) -> None:
    second, third = (read(path) for path in anchored.files()[1:])

    spans = [(line["wallet"], line["after"], line["upto"]) for line in second if "links" in line]
    assert spans == [(1, 3, 5), (2, 3, 5), (3, 3, 5)]
    assert third[0]["before"] == second[-1]["sha256"]
    assert third[-2]["ledger"]["transfers"] == 18


@pytest.mark.ledger_tampered
async def test_a_consistent_rewrite_by_a_superuser_is_named_exactly(anchored: AnchoredLedger) -> None:
    await rewrite(anchored, 2, second=1)

    inside = await anchored.inside()
    first, *_ = await anchored.faults()

    assert inside == [], "the database alone sees nothing"
    assert (first.wallet_id, first.version, first.check) == (2, 3, "anchored_transfer")
    assert first.detail.startswith("differs from anchor 1 of 2026-11-22")


@pytest.mark.ledger_tampered
async def test_the_same_history_written_again_is_the_same(anchored: AnchoredLedger) -> None:
    await rewrite(anchored, 2, second=2)

    assert await anchored.inside() == []
    assert [fault for fault in await anchored.faults() if fault.check != "anchored_refusal"] == []


@pytest.mark.ledger_tampered
async def test_a_rewrite_of_the_newest_day_is_named_by_that_days_anchor(anchored: AnchoredLedger) -> None:
    do(
        anchored.database,
        "UPDATE tallybook.transfers SET digest = sha256('x') WHERE wallet_id = 3 AND version = 5",
    )

    [fault] = await anchored.faults()

    assert (fault.wallet_id, fault.version) == (3, 5)
    assert fault.detail.startswith("differs from anchor 2 of 2026-11-23")


@pytest.mark.ledger_tampered
async def test_a_wallet_that_was_removed_wholly_is_missed(anchored: AnchoredLedger) -> None:
    wipe(anchored.database, 2)

    inside = await anchored.inside()
    first, *_ = await anchored.faults()

    assert inside == [], "the database alone sees nothing"
    assert (first.wallet_id, first.check) == (2, "anchored_wallet")
    assert "the whole wallet is gone" in first.detail


@pytest.mark.ledger_tampered
async def test_a_history_that_was_cut_short_is_missed(anchored: AnchoredLedger) -> None:
    do(anchored.database, "DELETE FROM tallybook.transfers WHERE wallet_id = 1 AND version > 4")

    [fault] = await anchored.faults()

    assert (fault.wallet_id, fault.version, fault.check) == (1, 5, "anchored_history")
    assert "ends at transfer 4" in fault.detail


@pytest.mark.ledger_tampered
async def test_one_row_taken_out_of_the_middle_is_named(anchored: AnchoredLedger) -> None:
    do(anchored.database, "DELETE FROM tallybook.transfers WHERE wallet_id = 1 AND version = 4")

    [fault] = await anchored.faults()

    assert (fault.wallet_id, fault.version, fault.check) == (1, 4, "anchored_transfer")


@pytest.mark.ledger_tampered
async def test_a_refusal_that_was_removed_is_missed(anchored: AnchoredLedger) -> None:
    assert (
        do(anchored.database, "DELETE FROM tallybook.refusals WHERE wallet_id = 3 AND key = '23-refused'")
        == 1
    )

    inside = await anchored.inside()
    [fault] = await anchored.faults()

    assert inside == [], "the database alone sees nothing"
    assert (fault.wallet_id, fault.version, fault.check) == (3, 5, "anchored_refusal")
    assert "a refusal to app 1 is gone: anchor 2" in fault.detail


@pytest.mark.ledger_tampered
async def test_a_refusal_that_was_changed_is_named_by_its_key(anchored: AnchoredLedger) -> None:
    do(
        anchored.database,
        "UPDATE tallybook.refusals SET digest = sha256('x') WHERE wallet_id = 3 AND key = '23-refused'",
    )

    [fault] = await anchored.faults()

    assert (fault.wallet_id, fault.check) == (3, "anchored_refusal")
    assert "'23-refused' differs from anchor 2" in fault.detail


async def test_what_came_after_the_newest_anchor_is_said_not_to_be_covered(anchored: AnchoredLedger) -> None:
    await anchored.day(spends=(1, 1))

    compared = await anchored.compare()

    assert (compared.faults, compared.transfers_since) == ([], 6)


@pytest.mark.ledger_tampered
async def test_a_rewrite_after_the_newest_anchor_is_not_seen_and_the_document_says_so(
    anchored: AnchoredLedger,
) -> None:
    await anchored.day(spends=(1,))
    do(
        anchored.database,
        "UPDATE tallybook.transfers SET digest = sha256('x') WHERE wallet_id = 3 AND version = 7",
    )

    assert await anchored.faults() == []


@pytest.mark.ledger_tampered
async def test_no_anchor_is_made_over_a_rewritten_history(anchored: AnchoredLedger) -> None:
    await rewrite(anchored, 2, second=1)
    await anchored.day(spends=(1,))

    with pytest.raises(AnchorFailedError, match="wallet 2"):
        await anchored.anchor()

    assert len(anchored.files()) == 3


@pytest.mark.ledger_tampered
async def test_no_anchor_is_made_over_a_ledger_that_has_lost_a_wallet(anchored: AnchoredLedger) -> None:
    wipe(anchored.database, 2)

    with pytest.raises(AnchorFailedError, match="does not continue its anchors: wallet 2"):
        await anchored.anchor()


async def test_refusals_of_one_moment_are_all_anchored(anchored: AnchoredLedger) -> None:
    await anchored.anchor()
    for key in ("x", "y"):
        with pytest.raises(InsufficientCreditsError):
            await anchored.books.spend(1, 5000, key=key)

    exported = await anchored.anchor()
    do(anchored.database, "DELETE FROM tallybook.refusals WHERE wallet_id = 1 AND key = 'y'")

    assert exported.transfers == 0
    assert len(await anchored.faults()) == 1


REFUSALS = (
    "INSERT INTO tallybook.refusals (wallet_id, app_id, key, terms, code, facts, wallet_version, created_at, digest)"
    " SELECT 1, 1, 'many-' || n, 't', 'insufficient_credits', '{}', 6, %s::timestamptz,"
    " sha256(convert_to('many-' || n, 'UTF8')) FROM generate_series(%s::int, %s::int) AS n"
)


@pytest.mark.ledger_tampered
async def test_a_wallet_with_thousands_of_refusals_is_anchored_and_only_new_ones_are_added(
    anchored: AnchoredLedger,
) -> None:
    do(anchored.database, REFUSALS, "2027-01-01", 1, 2500)
    many = await anchored.anchor()
    do(anchored.database, REFUSALS, "2027-01-02", 2501, 2501)
    one = await anchored.anchor()
    do(anchored.database, "DELETE FROM tallybook.refusals WHERE key = 'many-1234'")

    [fault] = await anchored.faults()

    assert (many.refusals, one.refusals) == (2500, 1)
    assert (fault.wallet_id, fault.check) == (1, "anchored_refusal")


@pytest.mark.ledger_tampered
async def test_a_refusal_whose_time_is_out_of_order_is_anchored_too(anchored: AnchoredLedger) -> None:
    do(anchored.database, REFUSALS, "2026-01-01", 1, 1)

    exported = await anchored.anchor()
    do(anchored.database, "DELETE FROM tallybook.refusals WHERE key = 'many-1'")

    assert exported.refusals == 4, "the wallet's older three again, and the new one"
    assert [fault.wallet_id for fault in await anchored.faults()] == [1]


async def test_an_anchor_that_left_something_out_is_found(anchored: AnchoredLedger) -> None:
    await anchored.day(spends=(1, 1))
    [row] = await anchored.books.rows(
        "SELECT digest FROM tallybook.transfers WHERE wallet_id = 2 AND version = 7"
    )
    heads = AnchoredHeads(anchored.folder / HEADS_NAME)
    heads.read_in([Span(wallet_id=2, after=6, upto=7, links=row["digest"][:6], head=row["digest"])])
    heads.close()
    await anchored.anchor()

    [fault] = await anchored.faults()

    assert (fault.wallet_id, fault.version, fault.check) == (2, 7, "anchor_gap")
