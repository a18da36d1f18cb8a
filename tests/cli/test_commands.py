"""The command line over a real database: what people read, what programs read, and the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import running_service
from databases import TestDatabase
from sandbox.process import Running as Sandbox


class CommandLine:
    """``tallybook`` with the settings of a test."""

    def __init__(self, env: dict[str, str], place: Path) -> None:
        self.env = env
        self.place = place

    def run(self, *arguments: str, status: int = 0, **env: str) -> str:
        """Run it; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "tallybook", *arguments],
            env=self.env | env,
            cwd=self.place,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        # Programs read standard output alone; people see both.
        return done.stdout if "--json" in arguments else done.stdout + done.stderr

    def json(self, *arguments: str, status: int = 0) -> Any:
        """Run it with --json."""
        return json.loads(self.run(*arguments, "--json", status=status))


@pytest.fixture
def tallybook(database: TestDatabase, stripe_sandbox: Sandbox, tmp_path: Path) -> CommandLine:
    """The command line over this test's database and the sandbox."""
    env = running_service.environment(database, stripe_sandbox.base_url, 8000, "whsec_of_a_test")
    return CommandLine(env, tmp_path)


def test_help_names_every_command(tallybook: CommandLine) -> None:
    said = tallybook.run("--help")

    for (
        command
    ) in "serve worker migrate demo doctor users apps credits catalog ledger events alerts top-ups".split():
        assert command in said


def test_credits_are_added_spent_and_listed(tallybook: CommandLine) -> None:
    made = tallybook.json("users", "create", "ada@example.com", "--password", "a good long password")
    user = str(made["user_id"])

    tallybook.json("credits", "add", user, "100", "--key", "gift", "--description", "A gift")
    again = tallybook.json("credits", "add", user, "100", "--key", "gift", "--description", "A gift")
    spent = tallybook.json("credits", "spend", user, "0.25")

    assert again["replayed"] is True
    assert spent["available"] == "99.75"
    history = tallybook.json("credits", "history", user)
    assert [(line["kind"], line["credits"]) for line in history] == [("spend", "0.25"), ("grant", "100")]
    assert "A gift" in tallybook.run("credits", "history", user)


def test_a_refusal_says_its_code_and_facts_and_exits_with_one(tallybook: CommandLine) -> None:
    made = tallybook.json("users", "create", "ada@example.com", "--password", "a good long password")

    said = tallybook.run("credits", "spend", str(made["user_id"]), "5", status=1)

    assert "insufficient_credits" in said
    assert "shortfall_micro: 5000000" in said


def test_verify_passes_and_says_how_much_it_checked(tallybook: CommandLine) -> None:
    said = tallybook.run("ledger", "verify")

    assert "The books tie." in said
    assert "0 transfers" in said


@pytest.mark.ledger_tampered
def test_verify_names_the_first_wrong_row_and_exits_with_one(
    tallybook: CommandLine, database: TestDatabase
) -> None:
    made = tallybook.json("users", "create", "ada@example.com", "--password", "a good long password")
    tallybook.json("credits", "add", str(made["user_id"]), "100")
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE tallybook.transfers SET amount_micro = 5")

    said = tallybook.run("ledger", "verify", status=1)
    found = tallybook.json("ledger", "verify", status=1)

    assert "First: wallet 1, transfer 1" in said
    assert {"wallet_id": 1, "version": 1, "check": "chain"}.items() <= found["faults"][0].items()


@pytest.mark.ledger_tampered
def test_verify_computes_the_chain_once_more_on_demand(
    tallybook: CommandLine, database: TestDatabase
) -> None:
    made = tallybook.json("users", "create", "ada@example.com", "--password", "a good long password")
    tallybook.json("credits", "add", str(made["user_id"]), "100")
    whole = tallybook.run("ledger", "verify", "--independently")
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE tallybook.transfers SET key = 'another'")

    wrong = tallybook.json("ledger", "verify", "--independently", status=1)
    without = tallybook.json("ledger", "verify", status=1)

    assert "Computed 1 digests of the chain once more, in Python." in whole
    assert [fault["check"] for fault in wrong["faults"]] == ["chain", "chain_in_python"]
    assert (wrong["recomputed"], without["recomputed"]) == (1, None)


def test_doctor_says_what_to_do_until_nothing_is_wrong(tallybook: CommandLine) -> None:
    before = tallybook.json("doctor", status=1)
    tallybook.run("catalog", "push")
    tallybook.run(
        "users", "create", "root@example.com", "--password", "a good long password", "--role", "admin"
    )
    after = tallybook.json("doctor", status=1)

    wrong = {finding["check"]: finding for finding in before if finding["verdict"] == "wrong"}
    assert "tallybook catalog push" in wrong["Catalogue"]["what_to_do"]
    # The tests' PostgreSQL runs without fsync, and doctor is right to say so.
    assert [finding["check"] for finding in after if finding["verdict"] == "wrong"] == ["Durability"]
    prices = [finding["found"] for finding in after if finding["check"] == "Prices"]
    assert any("10.00 USD" in found and "60.00 USD" in found for found in prices)


@pytest.mark.parametrize(
    ("env", "check", "said"),
    [
        ({"STRIPE_WEBHOOK_SECRET": ""}, "Webhook secret (stripe)", "whsec_"),
        ({"STRIPE_WEBHOOK_SECRET": "we_123"}, "Webhook secret (stripe)", "not its id"),
        ({"STRIPE_SECRET_KEY": ""}, "Stripe key", "STRIPE_SECRET_KEY"),
        ({"STRIPE_API_BASE": "http://127.0.0.1:9"}, "Stripe account", "STRIPE_SECRET_KEY"),
        ({"STRIPE_PRICE_PACK_100": "prod_123"}, "Price of pack_100", "price_"),
    ],
)
def test_doctor_finds_a_wrong_setting(
    tallybook: CommandLine, env: dict[str, str], check: str, said: str
) -> None:
    found = json.loads(tallybook.run("doctor", "--json", status=1, **env))

    [finding] = [finding for finding in found if finding["check"] == check]
    assert finding["verdict"] == "wrong"
    assert said in finding["what_to_do"]


def test_doctor_finds_a_service_role_that_may_write_the_ledger(
    tallybook: CommandLine, database: TestDatabase
) -> None:
    said = tallybook.run("doctor", status=1, DATABASE_URL=database.owner_url)

    assert "may write ledger tables" in said


def test_a_wrong_setting_stops_every_command_with_a_sentence(tallybook: CommandLine) -> None:
    said = tallybook.run("ledger", "verify", status=1, TALLYBOOK_SECRET_KEY="short")

    assert "SECRET_KEY" in said
    assert "Traceback" not in said


def test_a_database_that_is_away_is_said_in_a_sentence(tallybook: CommandLine) -> None:
    away = "postgresql://someone@127.0.0.1:9/nothing"

    said = tallybook.run("ledger", "verify", status=1, DATABASE_URL=away, MIGRATION_DATABASE_URL=away)

    assert "database_unavailable" in said
    assert "Traceback" not in said


def test_alerts_are_set_listed_and_ended(tallybook: CommandLine) -> None:
    made = tallybook.json("users", "create", "ada@example.com", "--password", "a good long password")
    user = str(made["user_id"])

    low = tallybook.json("alerts", "add", "low_balance", "10", "--user", user, "--margin", "2.5")
    budget = tallybook.json("alerts", "add", "spend_threshold", "100", "--span", "month", "--percent", "90")
    refused = tallybook.run("alerts", "add", "burn_rate", "10", "--span", "month", status=1)

    assert (low["credits"], low["armed_again"], low["wallet"]) == ("10", "from 12.5 on", "wal_1")
    assert (budget["wallet"], budget["percents"]) == ("every wallet", [90])
    assert "invalid_request" in refused
    assert [row["alert"] for row in tallybook.json("alerts", "list", "--user", user)] == [low["alert"]]
    tallybook.run("alerts", "end", low["alert"])
    assert tallybook.json("alerts", "list") == [budget]
    assert "tallybook serve" in tallybook.run("alerts", "announcements")
    assert "alert_not_found" in tallybook.run("alerts", "end", low["alert"], status=1)


def test_an_anchor_is_exported_and_its_digest_said(tallybook: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "anchors"
    made = tallybook.json("users", "create", "ada@example.com", "--password", "a good long password")
    tallybook.json("credits", "add", str(made["user_id"]), "100")

    exported = tallybook.json("ledger", "anchor", "--to", str(folder))
    said = tallybook.run("ledger", "anchor", ANCHORS_DIR=str(folder))

    assert (exported["number"], exported["transfers"]) == (1, 1)
    assert Path(exported["path"]).is_file()
    assert "Anchor 2:" in said
    assert "0 transfers and 0 refusals since anchor 1" in said


def test_an_export_without_a_place_says_what_to_do(tallybook: CommandLine) -> None:
    said = tallybook.run("ledger", "anchor", status=1)

    assert "ANCHORS_DIR" in said


@pytest.mark.ledger_tampered
def test_verify_compares_with_the_anchors(
    tallybook: CommandLine, database: TestDatabase, tmp_path: Path
) -> None:
    folder = str(tmp_path / "anchors")
    made = tallybook.json("users", "create", "ada@example.com", "--password", "a good long password")
    tallybook.json("credits", "add", str(made["user_id"]), "100")
    digest = tallybook.json("ledger", "anchor", "--to", folder)["digest"]
    whole = tallybook.run("ledger", "verify", "--digest", digest, ANCHORS_DIR=folder)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("notes", "lot_moves", "lots", "transfers", "wallets"):
            connection.execute(f"DELETE FROM tallybook.{table}")

    inside = tallybook.run("ledger", "verify")
    said = tallybook.run("ledger", "verify", "--anchors", folder, "--digest", "ab" * 32, status=1)
    found = json.loads(tallybook.run("ledger", "verify", "--json", status=1, ANCHORS_DIR=folder))

    assert f"digest {digest}. Not covered: 0 transfers" in whole
    assert "The books tie." in inside
    assert "Not compared with anchors" in inside
    assert "First: wallet 1, transfer 1: the whole wallet is gone: anchor 1 of " in said
    assert "2 broken promises" in said, "the digest that was kept elsewhere is not here"
    assert [fault["check"] for fault in found["faults"]] == ["anchored_wallet"]
    assert found["anchors"]["digest"] == digest


def test_verify_refuses_a_folder_without_anchors(tallybook: CommandLine, tmp_path: Path) -> None:
    said = tallybook.run("ledger", "verify", "--anchors", str(tmp_path), status=1)

    assert "There is no anchor in this folder." in said
