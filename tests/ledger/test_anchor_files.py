"""Anchors as files: one that is missing, changed or replaced is named; what they are good for is told from them."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from ledger.anchored import AnchoredLedger, read, rewrite, unwatched, write

from tallybook.domain.errors import AnchorFailedError
from tallybook.usecases import anchor_checks, anchors


async def test_the_digest_of_an_anchor_is_the_sha256_of_its_lines(anchored: AnchoredLedger) -> None:
    exported = await anchored.anchor()

    lines = gzip.decompress(exported.path.read_bytes()).splitlines(keepends=True)
    assert hashlib.sha256(b"".join(lines[:-1])).hexdigest() == exported.digest
    assert exported.digest[:16] in exported.path.name


async def test_an_anchor_that_was_changed_is_named_and_not_believed(anchored: AnchoredLedger) -> None:
    second = anchored.files()[1]
    lines = read(second)
    lines[1]["head"] = lines[2]["head"]
    write(second, lines, seal=False)

    [fault] = await anchored.faults()

    assert fault.check == "anchor_file"
    assert fault.detail.startswith(f"{second.name} was changed")


async def test_an_anchor_that_was_replaced_by_a_whole_one_is_named_by_the_next(
    anchored: AnchoredLedger,
) -> None:
    second = anchored.files()[1]
    lines = read(second)
    lines[1]["head"] = lines[2]["head"]
    write(second, lines, seal=True)
    digest = read(second)[-1]["sha256"]
    forged = second.rename(second.with_name(f"{second.name[:31]}{digest[:16]}.jsonl.gz"))

    [fault] = await anchored.faults()

    assert fault.detail.startswith(f"{forged.name} was replaced")


async def test_a_newest_anchor_that_was_replaced_under_its_name_is_named(anchored: AnchoredLedger) -> None:
    newest = anchored.files()[-1]
    lines = read(newest)
    lines[1]["head"] = lines[2]["head"]
    write(newest, lines, seal=True)

    [fault] = await anchored.faults()

    assert fault.detail == f"{newest.name} was changed: its digest is not the one in its name"


async def test_a_chain_that_was_replaced_as_a_whole_lacks_the_digest_that_was_kept_elsewhere(
    anchored: AnchoredLedger,
) -> None:
    kept = (await anchored.anchor()).digest
    for path in [*anchored.files(), anchored.folder / "heads.cache"]:
        path.unlink()
    await anchored.anchor()

    [fault] = (await anchored.compare(expected_digest=kept)).faults

    assert await anchored.faults() == []
    assert kept in fault.detail


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_an_anchor_that_is_missing_is_named(anchored: AnchoredLedger, which: int) -> None:
    anchored.files()[which].unlink()

    [fault] = await anchored.faults()

    assert fault.check == "anchor_file"
    assert fault.detail.startswith(f"anchor {which + 1} is missing")


@pytest.mark.ledger_tampered
async def test_with_an_anchor_missing_the_others_still_find_a_rewrite(anchored: AnchoredLedger) -> None:
    anchored.files()[0].unlink()
    await rewrite(anchored, 2, second=1)

    first, *_ = await anchored.faults()

    assert (first.wallet_id, first.version) == (2, 4)


async def test_two_anchors_of_one_number_are_not_believed(anchored: AnchoredLedger) -> None:
    second = anchored.files()[1]
    second.with_name(second.name.replace("0000Z-", "0001Z-")).write_bytes(second.read_bytes())

    [fault] = await anchored.faults()

    assert "is a second anchor 2" in fault.detail


@pytest.mark.parametrize(
    "torn",
    [b"", b"no gzip", gzip.compress(b"no json\n"), gzip.compress(b"{}\n")],
    ids=["empty", "no gzip", "no JSON", "no head"],
)
async def test_a_file_that_is_no_anchor_is_said_to_be_unreadable(
    anchored: AnchoredLedger, torn: bytes
) -> None:
    newest = anchored.files()[-1]
    newest.chmod(0o644)
    newest.write_bytes(torn)

    [fault] = await anchored.faults()

    assert fault.detail.startswith(newest.name)


async def test_half_an_anchor_is_said_to_be_unreadable(anchored: AnchoredLedger) -> None:
    newest = anchored.files()[-1]
    newest.chmod(0o644)
    newest.write_bytes(newest.read_bytes()[:-40])

    [fault] = await anchored.faults()

    assert "cannot be read" in fault.detail


async def test_the_table_of_heads_is_rebuilt_from_the_anchors(anchored: AnchoredLedger) -> None:
    (anchored.folder / "heads.cache").unlink()
    await anchored.day(spends=(1,))

    exported = await anchored.anchor()

    assert (exported.number, exported.transfers, exported.refusals) == (4, 3, 3)
    assert await anchored.faults() == []


async def test_anchors_that_were_moved_away_are_continued_by_the_table_of_heads(
    anchored: AnchoredLedger,
) -> None:
    elsewhere = anchored.folder.with_name("elsewhere")
    elsewhere.mkdir()
    for path in anchored.files():
        path.rename(elsewhere / path.name)
    await anchored.day(spends=(1,))

    exported = await anchored.anchor()
    exported.path.rename(elsewhere / exported.path.name)

    compared = await anchor_checks.compare(anchored.ctx, elsewhere, progress=unwatched)
    assert (exported.number, compared.anchors, compared.faults) == (4, 4, [])


async def test_an_anchor_alone_is_a_file_of_the_whole_ledger(
    anchored: AnchoredLedger, tmp_path: Path
) -> None:
    place = tmp_path / "alone.jsonl.gz"

    exported = await anchors.export_alone(anchored.ctx, place, progress=unwatched)

    compared = await anchor_checks.compare(anchored.ctx, place, progress=unwatched)
    assert (exported.transfers, compared.transfers, compared.faults) == (18, 18, [])
    with pytest.raises(AnchorFailedError, match="already"):
        await anchors.export_alone(anchored.ctx, place, progress=unwatched)


async def test_a_chain_that_does_not_fit_together_is_not_continued(anchored: AnchoredLedger) -> None:
    second = anchored.files()[1]
    lines = read(second)
    lines[1]["head"] = lines[2]["head"]
    write(second, lines, seal=True)
    (anchored.folder / "heads.cache").unlink()

    with pytest.raises(AnchorFailedError):
        await anchored.anchor()
